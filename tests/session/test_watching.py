import asyncio
from collections.abc import Sequence

import pytest

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core.notifications import ResponseDone
from serve_app.ears import SessionEar
from serve_app.session import drive
from serve_app.session_options import SessionOptions
from serve_app.watching import Watchers
from tests.session.line import SERVED, House, Line


class Diary:
    def __init__(self) -> None:
        self.events: list[ev.Event] = []
        self.commands: list[cmd.Command] = []
        self.times: list[float] = []
        self.closings = 0

    def saw(self, event: ev.Event, commands: Sequence[cmd.Command], now: float) -> None:
        assert not self.closings, "a session that is closed sees nothing"
        self.events.append(event)
        self.commands += commands
        self.times.append(now)

    def closed(self) -> None:
        self.closings += 1


async def test_those_who_watch_a_session_see_every_event_with_what_it_commands_until_it_is_closed() -> None:
    first, second, watched = Diary(), Diary(), list[str]()

    def watch(session_id: str) -> Watchers:
        watched.append(session_id)
        return Watchers(first, second)

    house = House(["Hello."], ["Hi."])
    async with house.session(watch=watch) as line:
        line.speaks(1.0, silence_s=0.8)
        await line.gets("response.done")
    assert watched == [line.seen[0]["session"]["id"]]
    assert [type(event) for event in first.events if isinstance(event, ev.SpeechStarted | ev.SpeechStopped)] == [
        ev.SpeechStarted, ev.SpeechStopped
    ]  # fmt: skip
    assert [command.what.response.status for command in first.commands if _is_done(command)] == ["completed"]
    assert first.times == sorted(first.times)
    assert (first.events, first.closings) == (second.events, second.closings)
    assert first.closings == 1


async def test_one_that_fails_sees_no_more_and_the_session_goes_on() -> None:
    class Careless(Diary):
        def saw(self, event: ev.Event, commands: Sequence[cmd.Command], now: float) -> None:
            super().saw(event, commands, now)
            raise ValueError("careless")

    careless, careful = Careless(), Diary()
    house = House(["Hello."], ["Hi."])
    async with house.session(watch=lambda session_id: Watchers(careless, careful)) as line:
        line.speaks(1.0, silence_s=0.8)
        await line.gets("response.done")
    assert (len(careless.events), careless.closings) == (1, 0)
    assert len(careful.events) > 1 and careful.closings == 1


async def test_a_session_that_is_cancelled_has_lost_its_client() -> None:
    diary, line = Diary(), Line()
    driving = asyncio.create_task(drive(line, House().engines, SessionOptions(SERVED, watch=lambda session_id: diary)))
    await line.gets("session.created")
    driving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await driving
    assert isinstance(diary.events[-1], ev.Parted) and diary.closings == 1


async def test_a_session_that_is_cancelled_while_it_closes_is_closed_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    closing, go_on, close = asyncio.Event(), asyncio.Event(), SessionEar.close

    async def slowly(ear: SessionEar) -> None:
        closing.set()
        await go_on.wait()
        await close(ear)

    monkeypatch.setattr(SessionEar, "close", slowly)
    diary, line, house = Diary(), Line(), House()
    driving = asyncio.create_task(drive(line, house.engines, SessionOptions(SERVED, watch=lambda session_id: diary)))
    await line.gets("session.created")
    line.hangs_up()
    await closing.wait()
    driving.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await driving
    assert diary.closings == 1 and house.listening.sessions == 0


def _is_done(command: cmd.Command) -> bool:
    return isinstance(command, cmd.Tell) and isinstance(command.what, ResponseDone)
