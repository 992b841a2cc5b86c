"""Every request, item and error survives the socket, and what is not ours is refused."""

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.call_codecs import REPLIES, SPEECHES
from deployments.call_frames import (
    HEAD,
    JOINED_BYTES,
    LARGEST_BYTES,
    BadFrame,
    Frame,
    Kind,
    call_payload,
    failure,
    frame,
    frames,
    joined,
    of_call,
    of_failure,
)
from deployments.figures import Calls
from serve_app.core.language import ChatMessage, Constraints, Prompt, Tool, ToolCall, Word
from serve_app.engines import ReplyEnd, ReplyPiece, Sound, Speech, TextDelta, ToolCallDelta
from serve_app.errors import EngineBusy, EngineFailed, EngineGone, PromptRefused, PromptTooLong, SparkvoxError, UnknownVoice

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
number = st.floats(0, 100)
schema = st.dictionaries(text, st.none() | st.booleans() | text | st.lists(text), max_size=3)
calls = st.builds(ToolCall, text, text, text)
messages = st.builds(ChatMessage, text, text, st.lists(calls, max_size=2).map(tuple), st.none() | text)
constraints = st.builds(
    Constraints, st.lists(text, max_size=2).map(tuple), st.none() | schema, st.none() | number, st.none() | st.integers(0, 2**31)
)
prompts = st.builds(
    Prompt,
    st.lists(messages, max_size=3).map(tuple),
    st.lists(st.builds(Tool, text, text, schema), max_size=2).map(tuple),
    text,
    st.none() | st.integers(1, 4096),
    st.none() | number,
    text,
    constraints,
)
pieces = st.one_of(
    st.builds(TextDelta, text),
    st.builds(ToolCallDelta, st.integers(0, 9), text, text),
    st.builds(ReplyEnd, st.sampled_from(("stop", "length")), st.integers(0, 9999), st.integers(0, 9999), st.integers(0, 9999)),
)
words = st.lists(st.builds(Word, text, number, number), max_size=3).map(tuple)


@given(prompts)
def test_every_prompt_survives_the_socket(prompt: Prompt) -> None:
    assert REPLIES.read_asked(REPLIES.write_asked(prompt)) == prompt


@given(pieces)
def test_every_piece_of_a_reply_survives_the_socket(piece: ReplyPiece) -> None:
    assert REPLIES.read_item(REPLIES.write_item(piece)) == piece


@given(st.builds(Speech, text, text, number))
def test_every_speech_survives_the_socket(speech: Speech) -> None:
    assert SPEECHES.read_asked(SPEECHES.write_asked(speech)) == speech


@given(st.lists(st.integers(-32768, 32767)), words)
def test_every_sound_survives_the_socket(samples: list[int], spoken: tuple[Word, ...]) -> None:
    came = SPEECHES.read_item(SPEECHES.write_item(Sound(np.array(samples, np.int16), spoken)))
    assert (came.pcm.tolist(), came.pcm.dtype, came.words) == (samples, np.int16, spoken)


def test_times_of_words_may_be_numpys() -> None:
    sound = Sound(np.zeros(1, np.int16), (Word("a", np.float32(0.5), np.float64(1.5)),))  # type: ignore[arg-type]
    assert SPEECHES.read_item(SPEECHES.write_item(sound)).words == (Word("a", 0.5, 1.5),)


@given(st.lists(st.tuples(st.sampled_from(Kind), st.integers(0, 2**32 - 1), st.binary(max_size=20)), max_size=5))
def test_frames_that_are_sent_together_come_one_by_one(every: list[tuple[Kind, int, bytes]]) -> None:
    together = b"".join(joined([frame(*one) for one in every]))
    assert list(frames(together)) == [Frame(*one) for one in every]


def test_a_long_frame_goes_alone() -> None:
    short, long = b"s" * 10, b"l" * JOINED_BYTES
    assert list(joined([short, short, long, short])) == [short + short, long, short]
    assert list(joined([])) == []


@given(st.binary(max_size=40))
def test_other_bytes_are_refused_or_harmless(message: bytes) -> None:
    try:
        for one in frames(message):
            of_call(one.payload)
    except BadFrame:
        pass


@pytest.mark.parametrize("codec", [REPLIES, SPEECHES])
@pytest.mark.parametrize(
    "payload", [b"", b"o[]", b"o3", b"o[[],{}]", b'o["Word",{}]', b'{"text":1}', b"\x00\x00\x00\x02[]x", b"\xff\xff\xff\xff"]
)
def test_what_is_neither_request_nor_item_raises_no_other_error_than_one_of_values(codec: Any, payload: bytes) -> None:
    for read in (codec.read_asked, codec.read_item):
        with pytest.raises(ValueError):
            read(payload)


@given(st.sampled_from(("", "00-abc-def-01")), st.binary(max_size=20))
def test_a_call_carries_its_trace(trace: str, asked: bytes) -> None:
    assert of_call(call_payload(trace, asked)) == (trace, asked)


@pytest.mark.parametrize("kind", [EngineFailed, EngineBusy, EngineGone, PromptTooLong, PromptRefused, UnknownVoice])
def test_our_errors_come_as_they_were_raised(kind: type[SparkvoxError]) -> None:
    came = of_failure(failure(kind("because")))
    assert (type(came), came.args) == (kind, ("because",))


def test_an_error_of_an_engines_own_kind_comes_as_the_one_of_ours_that_it_is() -> None:
    class NoAnswerInTime(EngineGone):
        pass

    class Refusal(PromptRefused):
        pass

    assert type(of_failure(failure(NoAnswerInTime("because")))) is EngineGone
    assert type(of_failure(failure(Refusal("because")))) is PromptRefused


@pytest.mark.parametrize("args", [(), (None,), (3, {"a": 1}), ("half a pair: \ud83d",), (b"\xff", float("nan")), ("x" * LARGEST_BYTES,)])
def test_an_error_comes_whatever_it_was_made_of(args: tuple[Any, ...]) -> None:
    came = of_failure(frame(Kind.FAILED, 1, failure(EngineFailed(*args)))[HEAD.size :])
    assert type(came) is EngineFailed
    assert len(came.args) == len(args)


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"3", b"{}", b'{"name":3,"args":[]}', b'{"name":"EngineGone","args":3}'])
def test_a_failure_that_cannot_be_read_is_a_failed_engine(payload: bytes) -> None:
    assert type(of_failure(payload)) is EngineFailed


@pytest.mark.parametrize("name", ["OfAnotherVersion", "Exception", "__name__"])
def test_an_error_that_is_not_known_here_is_a_failed_engine(name: str) -> None:
    came = of_failure(orjson.dumps({"name": name, "args": ["because"]}))
    assert (type(came), came.args) == (EngineFailed, ("because",))


def test_calls_are_counted_in_the_mean_since_it_was_asked_last() -> None:
    now = [0.0]
    calls = Calls(lambda: now[0])
    with calls.one():
        now[0] = 1.0
        with calls.one():
            now[0] = 2.0
            assert calls.mean() == 1.5
            now[0] = 3.0
        assert calls.mean() == 2.0
        assert calls.mean() == 1.0
    now[0] = 13.0
    assert (calls.mean(), calls.live) == (0.0, 0)
