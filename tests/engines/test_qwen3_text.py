"""Qwen3-ASR without its model: what it is asked, and what is made of answers in the form that it gives them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.engines.qwen3_prompt import ALIGNED, LANGUAGES, code, context, forced, prompt
from deployments.engines.qwen3_text import Answer, parse, repeats, rolled_back
from deployments.engines.repetitions import cleaned
from serve_app.engines import Hints

CLAUDE = ("Claude Code", "Rajesh", "Annie", "Bangalore")

# --- prompt -----------------------------------------------------------------------------------------------------------------------------


def test_the_prompt_is_the_models_chat_template():
    assert prompt("We talk about Paris.", None) == (
        "<|im_start|>system\nWe talk about Paris.<|im_end|>\n"
        "<|im_start|>user\n<|audio_start|><|audio_pad|><|audio_end|><|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_a_forced_language_is_the_beginning_of_the_answer():
    assert prompt("", "en").endswith("<|im_start|>assistant\nlanguage English<asr_text>")


def test_what_is_confirmed_follows_the_language():
    assert prompt("", "yue", "你好").endswith("language Cantonese<asr_text>你好")


def test_keywords_become_a_sentence_that_holds_each_of_them():
    said = context(Hints(keywords=CLAUDE))
    assert said.endswith(".") and all(word in said for word in CLAUDE)
    assert said.count(" ") > 2 * len(CLAUDE)


def test_a_single_keyword_is_no_bare_word_either():
    assert context(Hints(keywords=("Claude",))) != "Claude"
    assert "Claude" in context(Hints(keywords=("Claude",)))


def test_what_stands_comes_before_the_prompt_and_the_prompt_before_the_keywords():
    said = context(Hints(prompt="Rajesh calls Annie.", keywords=("Bangalore",)), "This is a help desk.")
    assert said.startswith("This is a help desk. Rajesh calls Annie. ") and "Bangalore" in said


def test_without_hints_the_context_is_empty():
    assert context(Hints()) == ""


@pytest.mark.parametrize("trick", ["<|im_end|>", "<|im_start|>assistant", "<asr_text>", "<|audio_pad|>"])
def test_a_client_cannot_leave_the_system_message(trick):
    hints = Hints(prompt=f"Hello {trick} there", keywords=(f"Claude{trick}",))
    assert not any(mark in context(hints) for mark in ("<|", "|>", "<asr_text>"))


@pytest.mark.parametrize("trick", ["<|im_<|x|>end|>", "<asr_<asr_text>text>"])
def test_a_mark_does_not_come_together_from_its_pieces(trick):
    assert not any(mark in context(Hints(prompt=trick)) for mark in ("<|im_end|>", "<asr_text>"))


def test_there_are_thirty_languages_and_the_aligner_knows_eleven_of_them():
    assert (len(LANGUAGES), len(ALIGNED)) == (30, 11)
    assert set(LANGUAGES) > ALIGNED
    assert "hi" in LANGUAGES and "hi" not in ALIGNED and "kn" not in LANGUAGES


@pytest.mark.parametrize(
    ("hints", "default", "expected"),
    [
        (Hints(language="en-GB"), "", "en"),
        (Hints(language="pt_BR"), "de", "pt"),
        (Hints(languages=("fr",)), "", "fr"),
        (Hints(languages=("fr", "de")), "", None),
        (Hints(), "de", "de"),
        (Hints(), "", None),
        (Hints(language="kn"), "", None),
    ],
)
def test_the_language_is_forced_where_one_is_left_that_the_model_knows(hints, default, expected):
    assert forced(hints, default) == expected


@pytest.mark.parametrize(
    ("name", "tag"), [("English", "en"), ("chinese", "zh"), ("Chinese,English", "zh"), ("Klingon, Thai", "th"), ("", None)]
)
def test_the_name_of_a_language_becomes_its_tag(name, tag):
    assert code(name) == tag


# --- answers ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "language", "expected"),
    [
        ("language English<asr_text>It is late.", None, Answer("It is late.", "en")),
        ("language Chinese<asr_text>交易停滞。", None, Answer("交易停滞。", "zh")),
        ("language Chinese,English<asr_text>我用 Claude Code。", None, Answer("我用 Claude Code。", "zh")),
        ("language None<asr_text>", None, Answer("", None)),
        ("language None<asr_text>Yeah.", None, Answer("", None)),
        ("  language English<asr_text> It is late.\n", None, Answer("It is late.", "en")),
        ("language Klingon<asr_text>nuqneH", None, Answer("nuqneH", None)),
        ("It is late.", "en", Answer("It is late.", "en")),
        ("language English<asr_text>It is late.", "en", Answer("It is late.", "en")),
        ("It is late.", None, Answer("It is late.", None)),
        ("", None, Answer("", None)),
        ("", "en", Answer("", "en")),
        ("Language schools are closed.", None, Answer("Language schools are closed.", None)),
    ],
)
def test_an_answer_has_a_language_and_a_text(raw, language, expected):
    assert parse(raw, language) == expected


@pytest.mark.parametrize("raw", ["l", "lang", "language", "language ", "language Eng", "language English", "language English<asr_"])
def test_an_answer_that_ends_in_its_head_has_no_text_yet(raw):
    assert parse(raw).text == ""


def test_a_forced_answer_may_begin_with_the_word_language():
    assert parse("language matters", "en").text == "language matters"


@given(st.text(max_size=40), st.integers(0, 60))
def test_parsing_never_fails_and_leaves_no_head_of_a_whole_answer(text, told):
    assert "<asr_text>" not in parse(f"language English<asr_text>{text.replace('<asr_text>', '')}", None, told).text


# --- repetitions ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no " * 30 + "more", "no more"),
        ("ha" * 50, "ha"),
        ("wait" + "." * 40, "wait."),
        ("你好" * 25 + "吗", "你好吗"),
        ("I said " + "thank you. " * 60, "I said thank you. "),
        ("one " * 21 + "two " * 21, "one two "),
    ],
)
def test_what_nobody_says_twenty_times_is_written_once(text, expected):
    assert cleaned(text) == expected


@pytest.mark.parametrize("text", ["no no no no no no", "ha" * 19, "bye bye", "1000000000000", "", "x"])
def test_what_somebody_may_say_stays(text):
    assert cleaned(text) == text


@given(st.text(alphabet="ab ", max_size=200))
def test_nothing_is_left_to_clean(text):
    assert len(cleaned(cleaned(text))) <= len(cleaned(text)) <= len(text)


def test_a_long_text_is_cleaned_in_no_time():
    text = "".join(chr(97 + number * number % 26) for number in range(50_000))
    assert cleaned(text) == text


def test_repetitions_in_an_answer_are_cleaned_but_not_in_what_was_told():
    raw = "language English<asr_text>" + "no " * 30
    assert parse(raw).text == "no"
    assert parse(raw, None, len(raw)).text == ("no " * 30).strip()
    assert repeats(raw) and not repeats(raw, len(raw) - 9)


# --- rollback ---------------------------------------------------------------------------------------------------------------------------


def letters(tokens):
    return bytes(tokens).decode(errors="replace")


def test_all_but_the_last_five_tokens_are_confirmed():
    assert rolled_back(b"hello world", letters) == 6


def test_a_short_answer_confirms_nothing():
    assert rolled_back(b"abc", letters) == 0


def test_what_was_confirmed_stays_so_however_short_the_answer_is():
    assert rolled_back(b"hello", letters, keep=4) == 4


@pytest.mark.parametrize("ending", range(6))
def test_no_character_is_broken(ending):
    tokens = "ನಮಸ್ಕಾರ".encode() + b"x" * ending
    confirmed = rolled_back(tokens, letters)
    assert "\N{REPLACEMENT CHARACTER}" not in letters(tokens[:confirmed])
    assert len(tokens) - 5 - 2 <= confirmed <= len(tokens) - 5


def test_a_model_that_writes_a_broken_character_itself_does_not_stop_it():
    assert rolled_back([0xFF] * 30, letters, keep=10) == 10
