"""Where what a client plays lies beside the samples of its microphone: also of one that stops it, is late, or loses some of it."""

from collections.abc import Iterator

import numpy as np
import pytest

from serve_app.core.playback import Playback
from serve_app.echo import EchoCanceller, EchoingMicrophone
from serve_app.engines import HEARING_RATE, Pcm
from serve_app.loudspeaker import CATCHES_UP_S, REACH_S, Loudspeaker

FRAME = 512
FRAME_S = FRAME / HEARING_RATE
QUIET = np.zeros(FRAME, np.int16)


class LoudIsSpeech:
    """Voice activity."""

    frame_samples = FRAME

    async def warm(self) -> None: ...

    def open(self) -> "LoudIsSpeech":
        return self

    def score(self, frame: Pcm) -> float:
        return float(np.abs(frame.astype(np.int32)).max() > 500)


def no_canceller() -> EchoCanceller:
    raise AssertionError("an echo was found, and there was none")


class Client:
    """Its clock and microphone, and the server's ear for it. What it plays and what its user says are noises."""

    def __init__(self) -> None:
        self.now, self.position = 50.0, 0
        self.playback = Playback()
        self.loudspeaker = Loudspeaker(self.playback, HEARING_RATE)
        self.microphone = EchoingMicrophone(LoudIsSpeech(), self.loudspeaker, no_canceller, lambda: self.now)
        self._random = np.random.default_rng(3)

    def hears(self, frame: Pcm = QUIET, late_s: float = 0.0) -> float:
        """One frame; gives how likely it is the user's."""
        self.now += FRAME_S
        now, self.now = self.now, self.now + late_s
        self.position += FRAME
        self.microphone.came(self.position)
        _, score = self.microphone.take(frame, self.position - FRAME)
        self.now = now
        return score

    def is_quiet(self, seconds: float) -> None:
        for _ in range(round(seconds / FRAME_S)):
            self.hears()

    def is_sent(self, seconds: float) -> None:
        pcm = self.noise(round(seconds * HEARING_RATE))
        self.loudspeaker.sent(pcm, self.now)
        self.playback.sent(seconds, self.now)

    def says(self, frames: int) -> list[float]:
        return [self.hears(self.noise(FRAME)) for _ in range(frames)]

    def noise(self, samples: int) -> Pcm:
        return self._random.normal(0, 3000, samples).astype(np.int16)

    def audible(self) -> bool:
        return self.loudspeaker.audible(self.position)

    def place(self) -> int:
        """Of the first sample that is kept, against that of the microphone."""
        return next(self._sounds()) - self.position

    def _sounds(self) -> Iterator[int]:
        begin = self.position - 4 * HEARING_RATE
        yield begin + int(np.flatnonzero(self.loudspeaker.played(begin, 20 * HEARING_RATE))[0])


@pytest.fixture
def client() -> Client:
    client = Client()
    client.is_quiet(3.0)
    return client


@pytest.mark.parametrize("answer_s", [2.0, 10.0])
@pytest.mark.parametrize("pause_s", [1.5, 4.0])
def test_a_word_after_an_answer_during_which_the_microphone_was_stopped_is_heard_whole(
    client: Client, answer_s: float, pause_s: float
) -> None:
    client.is_sent(answer_s)
    client.now += answer_s
    client.is_quiet(pause_s)
    assert not client.audible()
    assert client.says(7) == [1.0] * 7


@pytest.mark.parametrize("frames", [3, 5, 7])
@pytest.mark.parametrize("pause_s", [-1.0, -0.05, 0.2, 0.9])
def test_a_short_word_over_an_answer_or_after_its_end_is_heard_from_a_client_without_an_echo(
    client: Client, frames: int, pause_s: float
) -> None:
    client.is_sent(5.0)
    client.is_quiet(5.0 + pause_s)
    scores = client.says(frames) + [client.hears() for _ in range(12)]
    assert "1.01.0" in "".join(map(str, scores)), "two frames make an onset"
    assert sum(scores) <= frames
    client.is_quiet(3.0)
    assert client.says(7) == [1.0] * 7


def test_a_microphone_that_is_stopped_in_the_middle_of_an_answer_hears_the_rest_of_it_where_it_is_played(client: Client) -> None:
    client.is_sent(10.0)
    client.is_quiet(1.0)
    client.now += 3.0
    client.is_quiet(CATCHES_UP_S + 0.2)
    assert client.audible()
    left_s = client.playback.ahead_s(client.now)
    client.is_quiet(left_s + REACH_S + 0.1)
    assert not client.audible()


def test_a_microphone_may_be_stopped_for_each_answer(client: Client) -> None:
    for _ in range(20):
        client.is_sent(3.0)
        client.now += 3.0
        client.is_quiet(2.0)
    assert not client.audible() and client.says(7) == [1.0] * 7


def test_an_answer_that_begins_while_the_microphone_is_stopped_is_laid_where_it_goes_on(client: Client) -> None:
    client.now += 5.0
    client.is_sent(8.0)
    client.is_quiet(CATCHES_UP_S + 0.1)
    begun_s = CATCHES_UP_S + 0.1
    client.audible()
    assert client.place() == pytest.approx(-begun_s * HEARING_RATE, abs=2 * FRAME)


def test_a_line_that_stalls_and_catches_up_moves_nothing(client: Client) -> None:
    client.is_sent(10.0)
    client.is_quiet(1.0)
    before = client.place() + client.position
    for late_s in (0.9, 0.9, 0.8, 0.6, 0.3, 0.1):
        client.hears(late_s=late_s)
    client.is_quiet(1.5)
    assert client.audible() and client.place() + client.position == before


def test_push_to_talk_keeps_some_seconds_of_many_minutes() -> None:
    """Nothing asks what is audible there."""
    playback = Playback()
    loudspeaker = Loudspeaker(playback, 24_000)
    loudspeaker.microphone.came(HEARING_RATE, 1.0)
    kept = []
    for piece in range(6000):
        now = 1.0 + 0.1 * piece
        loudspeaker.sent(np.ones(2400, np.int16), now)
        playback.sent(0.1, now)
        kept.append(sum(len(one.pcm) for one in loudspeaker._pieces) / HEARING_RATE)
    assert max(kept) < 6.0


def test_what_comes_after_an_interruption_is_not_laid_behind_what_was_thrown_away(client: Client) -> None:
    """Between them nothing asked what is audible: the client talks by pushing a button."""
    client.is_sent(4.0)
    client.now += 1.0
    client.playback.flush(client.now)
    client.now += 1.0
    client.position += 2 * HEARING_RATE
    client.microphone.came(client.position)
    client.is_sent(1.0)
    assert client.audible()
    samples = client.loudspeaker.played(client.position, 2 * HEARING_RATE)
    assert np.flatnonzero(samples)[-1] == pytest.approx(HEARING_RATE, abs=2 * FRAME)


def test_a_client_that_is_late_may_play_beside_a_sample_before_the_clocks_and_after_the_last_that_came(client: Client) -> None:
    client.now += 0.4
    client.is_sent(2.0)
    assert client.audible()
    assert client.loudspeaker.runs(client.position, client.position + FRAME)[1] == pytest.approx(0.4 * HEARING_RATE, abs=2)
    assert client.loudspeaker.newest(client.position - 1) == 0
