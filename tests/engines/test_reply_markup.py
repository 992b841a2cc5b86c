"""Markup of tools and thoughts read out of a reply, however it was cut on its way: nobody hears any of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.engines.reply_markup import MarkupReader, calls_in, ends_in_thought, opens_markup
from tests.engines.test_tool_calls import cut, read

CALL = '{"name": "get_weather", "arguments": {"city": "Rome"}}'
ROME = [("get_weather", '{"city": "Rome"}')]


def everywhere(written, expected, **how):
    """Whole, character by character, and cut in two at each place."""
    ways = [[written], list(written), *([written[:at], written[at:]] for at in range(1, len(written)))]
    for chunks in ways:
        assert read(MarkupReader(**{"may_call": True, **how}), chunks) == expected, chunks


THOUGHTS = {
    "<think>Hmm.</think>\n\nYes.": "Yes.",
    "One <think>or two</think> three": "One three",
    "a < b and <thin air": "a < b and <thin air",
    "<think>never ended": "",
    "Yes.<thi": "Yes.<thi",
    "<think>a<think>b</think>c</think>Yes.": "Yes.",
    "<think>It says <think> here.</think>Yes.": "Yes.",
    "</think>\n\nYes.": "Yes.",
    "Yes.</think>": "Yes.",
    "<THINK>Hmm</Think>Yes.": "Yes.",
    "<thinking>Hmm</thinking>Yes.": "Yes.",
    "[THINK]Hmm[/THINK]Yes.": "Yes.",
    "<|START_THINKING|>Hmm<|END_THINKING|>Yes.": "Yes.",
    "<think>I could <tool_call>x</tool_call></think>Yes.": "Yes.",
    "<think></think>": "",
}


@pytest.mark.parametrize(("written", "said"), THOUGHTS.items())
def test_thoughts_are_left_out(written, said):
    everywhere(written, (said, []))
    everywhere(written, (said, []), may_call=False)


def test_a_thought_that_the_template_has_begun_is_left_out():
    everywhere("Hmm</think> Yes.", ("Yes.", []), thinking=True)
    everywhere("Hmm <think>again</think> so</think> Yes.", ("Yes.", []), thinking=True)
    everywhere("Hmm", ("", []), thinking=True)


def test_a_reply_that_perhaps_begins_within_a_thought_is_words_if_it_closes_none():
    everywhere("Hmm</think> Yes.", ("Yes.", []), thinking=True, perhaps=True)
    everywhere("Yes, it is.", ("Yes, it is.", []), thinking=True, perhaps=True)


def test_it_shows_that_a_reply_began_within_a_thought():
    reader = MarkupReader(may_call=False)
    read(reader, ["Hmm</think>Yes."])
    assert reader.closed_unopened


CALLS = {
    "Hermes, Qwen, SmolLM2": f"<tool_call>{CALL}</tool_call>",
    "on lines of their own": f"<tool_call>\n{CALL}\n</tool_call>",
    "never closed": f"<tool_call>{CALL}",
    "cut off within the closing tag": f"<tool_call>{CALL}</tool_",
    "after a thought": f"<think>Hmm.</think>\n\n<tool_call>{CALL}</tool_call>",
    "with blanks in the tags": f"<tool_call >{CALL}</ tool_call>",
    "another name for the tag": f"<function_call>{CALL}</function_call>",
    "Qwen-Coder": "<tool_call>\n<function=get_weather>\n<parameter=city>\nRome\n</parameter>\n</function>\n</tool_call>",
    "Qwen-Coder without the outer tag": "<function=get_weather><parameter=city>Rome</parameter></function>",
    "GLM": "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Rome</arg_value>\n</tool_call>",
    "Llama 3.1": '<function=get_weather>{"city": "Rome"}</function>',
    "Llama 3.1, never closed": '<function=get_weather>{"city": "Rome"}',
    "Llama, after the tag": '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Rome"}}<|eom_id|>',
    "Llama 3.2, bare": '{"name": "get_weather", "parameters": {"city": "Rome"}}',
    "bare, in a fence": f"```json\n{CALL}\n```",
    "bare, as OpenAI writes it": '{"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Rome"}}}',
    "Mistral": f"[TOOL_CALLS] [{CALL}]",
    "Mistral, since version 11": '[TOOL_CALLS]get_weather[ARGS]{"city": "Rome"}',
    "Granite": f"<|tool_call|>[{CALL}]",
    "arguments as a text": '<tool_call>{"name": "get_weather", "arguments": "{\\"city\\": \\"Rome\\"}"}</tool_call>',
    "a result made up after it": f"<tool_call>{CALL}</tool_call>\n<tool_response>\nSunny\n</tool_response>",
    "the end of the turn in text": f"<tool_call>{CALL}</tool_call><|im_end|>",
}


@pytest.mark.parametrize("written", CALLS.values(), ids=CALLS)
def test_a_call_is_read_and_its_markup_not_said(written):
    everywhere(written, ("", ROME), names=("get_weather", "set_timer"))


@pytest.mark.parametrize("written", CALLS.values(), ids=CALLS)
def test_a_call_that_nobody_allowed_is_neither_made_nor_said(written):
    everywhere(written, ("", []), names=("get_weather",), may_call=False)
    reader = MarkupReader(may_call=False, names=("get_weather",))
    read(reader, [written])
    assert reader.silent


@pytest.mark.parametrize("written", CALLS.values(), ids=CALLS)
def test_words_around_a_call_are_said(written):
    if "</" in written[-16:] and not written.endswith("tool_"):
        text, calls = read(MarkupReader(may_call=True, names=("get_weather",)), list(f"Let me see. {written} Done."))
        assert (text.split(), calls) == (["Let", "me", "see.", "Done."], ROME)


def test_a_tool_that_is_told_as_it_was_declared_is_no_call_and_no_words():
    declared = '{"name": "get_weather", "description": "The weather", "parameters": {"type": "object", "properties": {}}}'
    everywhere(f"You can call {declared} for that.", ("You can call for that.", []), names=("get_weather",))


def test_words_after_a_call_without_a_closing_tag_are_said():
    everywhere(f"<tool_call>{CALL}\nIt is warm.", ("It is warm.", []), may_call=False)


def test_calls_follow_each_other():
    two = [*ROME, ("set_timer", '{"minutes": 5}')]
    timer = '{"name": "set_timer", "arguments": {"minutes": 5}}'
    everywhere(f"<tool_call>{CALL}</tool_call><tool_call>{timer}</tool_call>", ("", two))
    everywhere(f"<tool_call>{CALL}<tool_call>{timer}", ("", two))
    everywhere(f"<tool_call>{CALL}\n{timer}</tool_call>", ("", two))
    everywhere(f"[TOOL_CALLS] [{CALL}, {timer}]", ("", two))
    everywhere('[TOOL_CALLS]get_weather{"city": "Rome"}[TOOL_CALLS]set_timer{"minutes": 5}', ("", two))
    everywhere(f"<tool_calls>[{CALL},{timer}]</tool_calls>", ("", two))


@given(st.lists(st.integers(1, 9)))
def test_text_and_tagged_calls_are_told_apart_wherever_they_are_cut(sizes):
    written = 'One < two.<tool_call>{"name": "a", "arguments": {"x": 1}}</tool_call> and <tool_call>\n{"name": "b"}\n</tool_call>done <tool'
    assert read(MarkupReader(may_call=True), cut(written, sizes)) == ("One < two. and done <tool", [("a", '{"x": 1}'), ("b", "{}")])


BROKEN = ["no JSON", '{"arguments": {}}', "[]", '{"name": 1}', '{"name": "a", "arguments": "x"}', "", '{"name": "a", ']


@pytest.mark.parametrize("body", BROKEN)
def test_what_is_no_call_between_tags_is_left_out(body):
    everywhere(f"<tool_call>{body}</tool_call>", ("", []))
    everywhere(f"Well. <tool_call>{body}</tool_call> Yes.", ("Well.  Yes.", []))
    everywhere(f"<tool_call>{body}", ("", []))


ORDINARY = [
    "It is 5 < 6, and a<b>c</b> is HTML.",
    '{"name": "Paul", "age": 3} is an object, [1, 2] a list.',
    "```json\n{}\n```",
    "Use the function f(x) = x [1] {see} <tools> <ul><li>one</li></ul>",
    "  Blanks before, and after.  ",
    "[TOOL] [THIN] <|odd|> <functional>",
    "I think so. Thinking is a tool call.",
]


@pytest.mark.parametrize("written", ORDINARY)
def test_ordinary_text_is_said_as_it_is(written):
    everywhere(written, (written, []), names=("get_weather",))


@given(st.text(st.characters(exclude_characters="<[◁`{"), min_size=1), st.lists(st.integers(1, 9)))
def test_text_without_brackets_is_never_changed_but_for_blanks_alone(written, sizes):
    said, calls = read(MarkupReader(may_call=True, names=("a",)), cut(written, sizes))
    assert (said.strip(), calls) == (written.strip(), [])


def test_text_is_not_held_back_longer_than_it_may_become_markup():
    reader = MarkupReader(may_call=True)
    assert "".join(piece.text for piece in reader.feed("It is 5 <")) == "It is 5 "
    assert "".join(piece.text for piece in reader.feed(" 6")) == "< 6"


def test_a_reply_of_words_or_calls_is_not_silent():
    tagged = f"<tool_call>{CALL}</tool_call>"
    for written, may_call in (("Yes.", True), (tagged, True), (f"{tagged}Yes.", False), ("", True)):
        reader = MarkupReader(may_call)
        read(reader, [written])
        assert not reader.silent


@given(st.dictionaries(st.text(max_size=9), st.text(max_size=9) | st.integers() | st.none(), max_size=3), st.lists(st.integers(1, 9)))
def test_any_arguments_come_through(arguments, sizes):
    written = json.dumps({"name": "a", "arguments": arguments})
    text, [(name, read_arguments)] = read(MarkupReader(may_call=True), cut(f"<tool_call>{written}</tool_call>", sizes))
    assert (text, name, json.loads(read_arguments)) == ("", "a", arguments)


def test_parameters_without_quotes_are_numbers_where_they_look_like_them():
    body = "<function=f><parameter=a>5</parameter><parameter=b>five [5]</parameter><parameter=c>[1]</parameter></function>"
    assert calls_in(body) == [("f", {"a": 5, "b": "five [5]", "c": [1]})]


def test_what_opens_markup_is_known():
    assert opens_markup("<tool_call>") and opens_markup("<|python_tag|>") and opens_markup("<think>")
    assert not opens_markup("</think>") and not opens_markup("<|im_end|>") and not opens_markup("<h1>")
    assert ends_in_thought("<|Assistant|><think>\n") and not ends_in_thought("<think>\n\n</think>\n\n")
