"""The client deletes, replaces and makes again the items of an answer while it is made and spoken, and of a turn while it waits for its
text: the conversation goes on, and what happens to the answer happens to no other item of its id."""

from itertools import product

import pytest

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.config import Config, Modality, ResponseRequest, ServerVad
from serve_app.core.items import FunctionCall, FunctionCallOutput, Item, ItemReference, Kind, Message, Part, Role, Status
from serve_app.core.truncation import SpokenAudio
from tests.core.talk import Talk

LONG = "One two three four five six seven. Eight nine ten eleven twelve thirteen. "

REPLACEMENTS = {
    "nothing": None,
    "a call": lambda item_id: FunctionCall(item_id, "look_up", "call_mine", "{}"),
    "the user's words": lambda item_id: Message(item_id, Role.USER, [Part(Kind.INPUT_TEXT, "mine")]),
    "the user's sound": lambda item_id: Message(item_id, Role.USER, [Part(Kind.INPUT_AUDIO)]),
    "spoken words of the assistant": lambda item_id: Message(item_id, Role.ASSISTANT, [Part(Kind.OUTPUT_AUDIO, "mine")]),
    "a message without parts": lambda item_id: Message(item_id, Role.ASSISTANT, []),
}
AFTERWARDS = {
    "commit": [ev.CommitAsked(1.0)],
    "clear": [ev.ClearAsked()],
    "cancel": [ev.ResponseCancelled()],
    "speech": [ev.SpeechStarted(2.0)],
    "short speech and a word": [ev.SpeechStarted(2.0), ev.TranscriptGrew("?", "stop that please"), ev.SpeechStopped(3.0, 2.5)],
    "the end": [ev.ReplyFinished("?", "stop", 1, 1), ev.ClauseSpoken("?", 0), ev.ClauseSpoken("?", 1)],
    "a failure": [ev.SpeakingFailed("?", "broken")],
    "truncate": [ev.ItemTruncated("?", 0, 0.5)],
    "retrieve and delete": [ev.ItemAsked("?"), ev.ItemDeleted("?")],
    "parting": [ev.Parted()],
}


def speaking(modality: Modality = Modality.AUDIO, barge_in_s: float = 0.0) -> tuple[Talk, str, str]:
    """An answer of which a part is heard and more is to come: the talk, the response, the item."""
    talk = Talk(Config(transcribes=True, modality=modality), barge_in_s=barge_in_s, echo=barge_in_s > 0)
    talk.user_says("Count.")
    response_id = talk.model_writes(LONG)
    if modality is Modality.AUDIO:
        talk.happens(ev.ClauseAudio(response_id, 0, 2.0))
    return talk, response_id, talk.told(told.OutputItemAdded)[-1].item.id


def aimed(event: ev.Event, talk: Talk, response_id: str, item_id: str) -> ev.Event:
    """With the real ids in place of "?"."""
    match event:
        case ev.TranscriptGrew(_, text):
            return ev.TranscriptGrew(talk.commanded(cmd.BeginUtterance)[-1].item_id, text)
        case ev.ReplyFinished(_, finish, read, written):
            return ev.ReplyFinished(response_id, finish, read, written)
        case ev.ClauseSpoken(_, clause):
            return ev.ClauseSpoken(response_id, clause)
        case ev.SpeakingFailed(_, reason):
            return ev.SpeakingFailed(response_id, reason)
        case ev.ItemTruncated(_, index, played_s):
            return ev.ItemTruncated(item_id, index, played_s)
        case ev.ItemAsked():
            return ev.ItemAsked(item_id)
        case ev.ItemDeleted():
            return ev.ItemDeleted(item_id)
    return event


@pytest.mark.parametrize("barge_in_s", [0.0, 0.6])
@pytest.mark.parametrize("modality", list(Modality))
@pytest.mark.parametrize(("replacement", "afterwards"), list(product(REPLACEMENTS, AFTERWARDS)))
def test_the_conversation_goes_on(replacement: str, afterwards: str, modality: Modality, barge_in_s: float) -> None:
    talk, response_id, item_id = speaking(modality, barge_in_s)
    talk.happens(ev.ItemDeleted(item_id))
    make = REPLACEMENTS[replacement]
    mine: Item | None = make(item_id) if make else None
    if mine is not None:
        talk.happens(ev.ItemCreated(mine))
    for event in AFTERWARDS[afterwards]:
        talk.happens(aimed(event, talk, response_id, item_id), after=0.1)
    talk.happens(ev.ResponseCancelled(), after=0.1)
    done = [one.item.id for one in talk.told(told.ItemDone)].count(item_id)
    assert done == (mine is not None), "the item that was made again is done once, that of the answer is gone"
    assert not [one for one in talk.told(told.ResponseDone) if one.response.id == response_id][1:]
    if isinstance(mine, Message) and mine.parts and afterwards != "truncate":
        assert (mine.heard, mine.played_s) == (None, None), "the cut of the answer was made in another item"


def test_an_answer_that_was_deleted_still_counts_as_what_is_being_played() -> None:
    """Else an earlier answer, which was heard in full, is cut by the seconds that are left of this one."""
    talk = Talk()
    talk.user_says("Count.")
    talk.agent_answers("One two three.", seconds=2.0)
    first = talk.told(told.OutputItemAdded)[-1].item.id
    talk.happens(after=10.0)
    talk.user_says("And on?")
    talk.agent_answers("Four five six.", seconds=4.0)
    talk.happens(ev.ItemDeleted(talk.told(told.OutputItemAdded)[-1].item.id))
    talk.happens(ev.SpeechStarted(20.0), after=1.0)
    assert talk.item(first).heard is None


def test_the_id_of_what_is_being_said_is_taken() -> None:
    talk = Talk()
    talk.happens(ev.SpeechStarted(0.0))
    item_id = talk.told(told.UtteranceStarted)[0].item_id
    talk.happens(ev.ItemCreated(Message(item_id, Role.USER, [Part(Kind.INPUT_TEXT, "mine")]), None, "taken"))
    assert [(one.code, one.event_id) for one in talk.told(told.Problem)] == [("item_create_duplicate_item_id", "taken")]
    talk.happens(ev.SpeechStopped(1.5, 1.0), ev.TranscriptFinished(item_id, "Hello.", 1.0))
    assert [item.id for item in talk.conversation.memory.history] == [item_id]


@pytest.mark.parametrize("role", [Role.USER, Role.ASSISTANT])
def test_the_text_of_a_turn_that_was_deleted_goes_to_no_other_item(role: Role) -> None:
    talk = Talk()
    talk.happens(ev.SpeechStarted(0.0), ev.SpeechStopped(1.5, 1.0))
    item_id = talk.told(told.UtteranceCommitted)[0].item_id
    mine = Message(item_id, role, [Part(Kind.INPUT_TEXT if role is Role.USER else Kind.OUTPUT_AUDIO, "mine")])
    talk.happens(ev.ItemDeleted(item_id), ev.ItemCreated(mine), ev.TranscriptFinished(item_id, "Hello.", 1.0))
    assert mine.parts[0].text == "mine"
    assert [message.content for message in talk.reply().prompt.messages] == ["mine"]


def test_two_turns_that_end_before_their_texts_make_one_response() -> None:
    """The first had a draft, which the second one threw away."""
    talk = Talk(Config(turn_taking=ServerVad(interrupt_response=False)))
    talk.happens(ev.SpeechStarted(0.0), ev.SpeechPaused(1.0, 1.2, True))
    first = talk.commanded(cmd.GuessTranscript)[-1]
    talk.happens(ev.TranscriptGuessed(first.item_id, "Hello", first.at_s, 1.0))
    talk.happens(ev.SpeechStopped(2.5, 2.0))
    talk.happens(ev.SpeechStarted(3.0), ev.SpeechStopped(4.5, 4.0))
    second = talk.told(told.UtteranceCommitted)[-1].item_id
    talk.happens(ev.TranscriptFinished(first.item_id, "Hello there", 1.0), ev.TranscriptFinished(second, "Are you there?", 1.0))
    assert len(talk.told(told.ResponseCreated)) == 1


# --- clauses without sound --------------------------------------------------------------------------------------------------------------


def clauses(*made: tuple[str, float]) -> SpokenAudio:
    audio = SpokenAudio()
    for number, (text, seconds) in enumerate(made):
        audio.add(number, text)
        audio.clauses[number].duration_s = seconds
        audio.clauses[number].complete = True
    return audio


def test_a_clause_without_sound_is_said_at_no_time() -> None:
    for silent in ("", "```print()```", "🙂"):
        audio = clauses(("One two.", 1.0), (silent, 0.0), (" Three four.", 1.0))
        assert audio.said(0.0, 2.0).split() == ["One", "two.", "Three", "four."]
        assert audio.said(1.0, 1.0) == ""


def test_a_clause_without_sound_was_heard_with_what_is_before_it() -> None:
    audio = clauses(("Look here:", 1.0), ("\n```print()```", 0.0), ("\nThat is all.", 1.0))
    assert audio.heard(0.0) == ""
    assert audio.heard(0.5) == "Look"
    assert audio.heard(1.0) == "Look here:\n```print()```"
    assert audio.heard(2.0) == "Look here:\n```print()```\nThat is all."
    assert clauses(("```print()```", 0.0), ("That is all.", 1.0)).heard(0.0) == ""


def test_words_over_an_answer_with_code_in_it_interrupt_it() -> None:
    talk = Talk(Config(transcribes=True), barge_in_s=0.6, echo=True)
    talk.user_says("Write some code.")
    response_id = talk.model_writes("Here is the code:\n", "```\nprint()\n```\n", "That is all of it. ")
    talk.model_finishes()
    spoken = talk.commanded(cmd.Speak)
    for number, clause in enumerate(spoken):
        if number != 1:
            talk.happens(ev.ClauseAudio(response_id, clause.clause, 2.0))
        talk.happens(ev.ClauseSpoken(response_id, clause.clause))
    talk.happens(ev.SpeechStarted(1.4), after=0.5)
    utterance = talk.commanded(cmd.BeginUtterance)[-1].item_id
    talk.happens(ev.TranscriptGrew(utterance, "no stop that please"), after=0.5)
    assert talk.told(told.UtteranceStarted)[-1].item_id == utterance


# --- results of calls -------------------------------------------------------------------------------------------------------------------


def refusals(talk: Talk) -> list[tuple[str | None, str | None]]:
    return [(one.code, one.param) for one in talk.told(told.Problem)]


def test_the_output_of_a_call_that_is_not_there_is_refused() -> None:
    talk = Talk()
    output = FunctionCallOutput("out", "call_nobody", "pineapple")
    talk.happens(ev.ItemCreated(output))
    talk.happens(ev.ItemCreated(FunctionCall("cut", "look_up", "call_cut", "{", Status.INCOMPLETE)))
    talk.happens(ev.ItemCreated(FunctionCallOutput("out", "call_cut", "pineapple")))
    talk.happens(ev.ItemCreated(FunctionCall("call", "look_up", "call_nobody", "{}")), ev.ItemDeleted("call"), ev.ItemCreated(output))
    assert refusals(talk) == [("invalid_tool_call_id", "item.call_id")] * 3
    assert [item.id for item in talk.conversation.memory.history] == ["cut"]


@pytest.mark.parametrize("previous", [None, "root"])
def test_the_output_of_a_call_is_taken_wherever_it_is_put(previous: str | None) -> None:
    talk = Talk()
    talk.happens(ev.ItemCreated(FunctionCall("call", "look_up", "call_1", "{}")))
    talk.happens(ev.ItemCreated(FunctionCallOutput("out", "call_1", "fog"), previous), ev.ResponseAsked(ResponseRequest()))
    assert [(message.role, message.content) for message in talk.reply().prompt.messages] == [("assistant", ""), ("tool", "fog")]


def test_an_output_in_a_responses_own_input_needs_its_call_there() -> None:
    talk = Talk()
    call, output = FunctionCall("call", "look_up", "call_1", "{}"), FunctionCallOutput("out", "call_1", "fog")
    talk.happens(ev.ItemCreated(call), ev.ItemCreated(output))
    for parts in ([output], [ItemReference("out")], [call, FunctionCallOutput("x", "call_2", "fog")]):
        talk.happens(ev.ResponseAsked(ResponseRequest(out_of_band=True, input=tuple(parts))))
    at = ["response.input[0]", "response.input[0]", "response.input[1]"]
    assert refusals(talk) == [("invalid_tool_call_id", param) for param in at]
    talk.happens(ev.ResponseAsked(ResponseRequest(out_of_band=True, input=(ItemReference("call"), output))))
    assert [message.role for message in talk.reply().prompt.messages] == ["assistant", "tool"]


def test_an_output_whose_call_is_gone_is_not_kept_for_another_connection() -> None:
    talk = Talk()
    talk.happens(ev.ItemCreated(FunctionCall("call", "look_up", "call_1", "{}")), ev.ItemCreated(FunctionCallOutput("out", "call_1", "")))
    assert [item.id for item in talk.conversation.memory.kept()] == ["out", "call"]
    talk.happens(ev.ItemDeleted("call"))
    assert list(talk.conversation.memory.kept()) == []


# --- nothing was said -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "roles"),
    [
        ([], ["system"]),
        ([Message("a", Role.SYSTEM, [Part(Kind.INPUT_TEXT, "Be kind.")])], ["system"]),
        ([Message("a", Role.ASSISTANT, [Part(Kind.OUTPUT_TEXT, "Hi.")])], ["assistant"]),
        ([Message("a", Role.USER, [Part(Kind.INPUT_TEXT, "")])], ["system"]),
        ([FunctionCall("a", "look_up", "call", "{}")], ["assistant"]),
        ([FunctionCall("a", "look_up", "call", "{", Status.INCOMPLETE)], ["system"]),
    ],
)
def test_whoever_asks_for_a_response_gets_one(items: list[Item], roles: list[str]) -> None:
    talk = Talk(Config(modality=Modality.TEXT))
    for item in items:
        talk.happens(ev.ItemCreated(item))
    talk.happens(ev.ResponseAsked(ResponseRequest()))
    assert [message.role for message in talk.reply().prompt.messages] == roles
    talk.happens(ev.ResponseCancelled(), ev.ResponseAsked(ResponseRequest(out_of_band=True, input=())))
    assert [message.role for message in talk.reply().prompt.messages] == ["system"]


# --- speech that begins twice -----------------------------------------------------------------------------------------------------------


def test_speech_over_an_answer_that_is_heard_to_begin_once_more_is_still_undecided() -> None:
    """As after a change of turn detection in the middle of it: the client hears of it when it is known to mean something."""
    talk, _, _ = speaking(barge_in_s=0.6)
    talk.happens(ev.SpeechStarted(2.0), ev.SpeechStarted(2.2))
    utterance = talk.commanded(cmd.BeginUtterance)[-1].item_id
    assert utterance not in [one.item_id for one in talk.told(told.UtteranceStarted)]
    talk.happens(ev.TranscriptGrew(utterance, "no stop that please"))
    assert [one.item_id for one in talk.told(told.UtteranceStarted)][-1] == utterance
    assert talk.status() == ("cancelled", "turn_detected")
