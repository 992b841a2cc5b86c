"""What the benchmark of the server's own overhead counts, and that its light client is understood by a server."""

import asyncio
import json

import pytest

from load_tests.bench.overhead import _talks, _update
from load_tests.bench.tones import DENSE, Ending, Talk, endings, sound, stages, waits
from load_tests.light import FRAME_S, Refused, appended, line_to, message
from tests.fake_server import fake_engines, serving

FRAMES = sound(DENSE)
LENGTH = 40 * DENSE.turn_frames


def test_every_turn_ends_a_little_after_its_silence() -> None:
    ends = endings(FRAMES, LENGTH, 0.5)
    assert len(ends) == 40
    after = [(end.decides - end.last_speech) * FRAME_S - 0.5 for end in ends]
    assert 0.012 <= min(after) and max(after) <= 0.1


def test_a_longer_silence_ends_turns_as_much_later() -> None:
    short, long = (endings(FRAMES, LENGTH, silence_s) for silence_s in (0.32, 0.64))
    later = [b.decides - a.decides for a, b in zip(short, long, strict=True)]
    assert sum(later) / 40 == pytest.approx(16, abs=0.5)


def talk(first_audio_at: list[float]) -> Talk:
    """Frame n is sent at n * FRAME_S."""
    return Talk(first_audio_at=first_audio_at, sent_at=[number * FRAME_S for number in range(LENGTH)])


ENDS = [Ending(turn * DENSE.turn_frames + 14, turn * DENSE.turn_frames + 42) for turn in range(DENSE.warm + 3)]


def test_overhead_is_what_comes_after_the_frame_that_decides() -> None:
    answered = [end.decides * FRAME_S + 0.01 * (number + 1) for number, end in enumerate(ENDS)]
    found = waits(talk(answered), ENDS, 0.5, DENSE.warm)
    assert found.overhead == pytest.approx([40, 50, 60])
    assert found.frames == pytest.approx([60, 60, 60])
    assert found.total == pytest.approx([600, 610, 620])
    assert found.missed == 0


def test_a_turn_without_audio_is_missed_and_not_taken_for_the_next_one() -> None:
    answered = [end.decides * FRAME_S + 0.01 for end in ENDS]
    del answered[4]
    found = waits(talk(answered), ENDS, 0.5, DENSE.warm)
    assert (len(found.overhead), found.missed) == (2, 1)
    assert found.overhead == pytest.approx([10, 10])


def test_only_the_first_audio_of_a_response_counts() -> None:
    heard = Talk()
    delta = b'{"type":"response.output_audio.delta","delta":""}'
    for at, data in enumerate((b'{"type":"response.created"}', delta, delta, b'{"type":"response.created"}', delta)):
        heard.heard(data, float(at))
    assert heard.first_audio_at == [1.0, 4.0]


def test_what_the_server_says_of_its_turns_is_summed_up_in_medians() -> None:
    turns = [{"stages": [["endpointing", 0.0, 512.0], ["first_token", 512.0, 512.0 + took]]} for took in (1.0, 5.0, 3.0)]
    assert stages(turns) == {"endpointing": 512.0, "first_token": 3.0}


def test_light_clients_speak_and_are_answered() -> None:
    with serving(engines=fake_engines(heard=(), answers=(), s_per_letter=0.01)) as address:
        url = address.replace("http", "ws") + "v1/realtime?sparkvox=timings,patient"
        talks = asyncio.run(_talks(url, 2, [appended(frame) for frame in FRAMES], 2 * DENSE.turn_frames, _update(200)))
    assert [(len(one.first_audio_at), len(one.timings), one.problems) for one in talks] == [(2, 2, [])] * 2


def test_an_error_of_the_server_is_a_problem_of_the_talk() -> None:
    with serving() as address:
        url = address.replace("http", "ws") + "v1/realtime"
        (one,) = asyncio.run(_talks(url, 1, [message({"type": "no.such.event"})], 5, None))
    assert json.loads(one.problems[0])["error"]["type"] == "invalid_request_error"


async def test_a_server_that_takes_no_websocket_is_told_apart() -> None:
    with serving() as address:
        with pytest.raises(Refused):
            async with line_to(address.replace("http", "ws") + "healthz", lambda data, now: None):
                pass
