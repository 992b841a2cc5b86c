import numpy as np
import pytest

from deployments.ear_frames import BadFrame, decode, encode
from serve_app.engines import Audio, Begin, Drop, End, Failed, Final, Guess, Guessed, Hints, Partial, Word
from serve_app.work import Work


@pytest.mark.parametrize(
    "message",
    [
        Begin("u", Hints("kn", "a talk about ships", ("keel",), ("kn", "hi"))), End("u"), Drop("ü"), Guess("u", 1.25),
        End("u", "00-1-2-01"), Guess("u", 1.25, "00-1-2-01"),
        Partial("u", "café", 3), Final("u", "one", 0.5, (Word("one", 0.0, 0.4),), "en"), Guessed("u", "one", 1.25, 0.5),
        Failed("u", "broken"), Begin("😀" * 64), Drop("é" * 1000), End("x" * 65_535),
    ],
)  # fmt: skip
def test_every_message_comes_out_as_it_went_in(message: object) -> None:
    assert decode(encode(message)) == message  # type: ignore[arg-type]


def test_where_the_time_went_comes_out_as_it_went_in() -> None:
    work = Work(0.1, 0.2, 3)
    for message in (Final("u", "one", 0.5, work=work), Guessed("u", "one", 1.25, 0.5, work)):
        assert decode(encode(message)).work == work  # type: ignore[union-attr]


def test_samples_come_out_as_they_went_in() -> None:
    heard = decode(encode(Audio("u", np.array([1, -2, 32767], np.int16))))
    assert isinstance(heard, Audio) and heard.pcm.tolist() == [1, -2, 32767]


@pytest.mark.parametrize("frame", [b"", b"\x00", b"\x02\x00", b"\x63\x00\x01u", b"\x05\x00\x01u{}", b"\x03\x00\x01\xff"])
def test_what_is_none_of_ours_is_refused(frame: bytes) -> None:
    with pytest.raises(BadFrame):
        decode(frame)
