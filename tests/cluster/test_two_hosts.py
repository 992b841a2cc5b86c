"""Two hosts with fake engines: who runs where, and what is lost when something is lost."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable

import pytest

from cluster.ports import named
from tests.cluster.boxes import PARTS, PATIENCE_S, Cluster, until
from tests.cluster.callers import Caller, Lost, a_turn, calling
from tests.cluster.conftest import Stopwatch
from tests.cluster.hosts import Host


async def eventually(what: Callable[[], Awaitable[bool]], said: str) -> float:
    """Seconds until it is true."""
    began = time.monotonic()
    while not await what():
        if time.monotonic() - began > PATIENCE_S:
            raise AssertionError(f"not within {PATIENCE_S:.0f} s: {said}")
        await asyncio.sleep(0.1)
    return time.monotonic() - began


async def nothing_is_left(cluster: Cluster, *hosts: Host) -> None:
    """Of sessions no place, lease, utterance, call or socket; of replicas that died or were replaced no process."""
    places = hosts or cluster.hosts.both
    await asyncio.to_thread(until, lambda: not any(any(cluster.counts(host).values()) for host in places), "no session is left")
    await asyncio.to_thread(until, lambda: not any(cluster.sockets(host) for host in places), "no socket is left")
    await asyncio.to_thread(until, lambda: not any(cluster.spare(host) for host in places), "no process is left over")


def test_each_host_has_one_of_each_part(cluster: Cluster, stopwatch: Stopwatch) -> None:
    stopwatch.note("start of both hosts until all parts are on both", until(cluster.is_whole, "both hosts have all parts"))
    status = cluster.status(cluster.b)
    assert [node["replicas"] for node in status["nodes"]] == [dict.fromkeys(PARTS, 1)] * 2
    assert status["application"] == "RUNNING"


def test_every_open_port_is_in_the_table(whole: Cluster) -> None:
    for host in whole.hosts.both:
        unknown = [one for one in host.sockets() if one.listens and named(one.port) is None]
        assert not unknown


async def test_both_doors_lead_to_an_answer(whole: Cluster) -> None:
    for host in whole.hosts.both:
        assert await a_turn(whole.door(host), 30)
    await nothing_is_left(whole)


async def amid_an_utterance(whole: Cluster, caller: Caller, kill: Callable[[], None]) -> None:
    """Nothing of what was said is lost."""
    await caller.begins_to_speak()
    await asyncio.to_thread(until, lambda: whole.counts(whole.b)["utterances"] == 1, "the utterance has begun")
    assert whole.heard_there(whole.b) == 1
    kill()
    await caller.speaks()
    assert (await caller.gets("response.output_audio_transcript.done"))["transcript"] == "You said: heard 2.00 seconds"
    assert (await caller.gets("response.done"))["response"]["status"] == "completed"


async def amid_an_answer(whole: Cluster, caller: Caller, kill: Callable[[], None]) -> None:
    """It fails, because a part of it was heard: had another replica been at work, it would have been completed. The first clause has 36 of
    these words and takes more than a second to be said, all of them two to be written."""
    await caller.asks("and on " * 50)
    await caller.gets("response.output_audio.delta")
    kill()
    assert (await caller.gets("response.done"))["response"]["status"] == "failed"


KILLS = [("SpeechToText", amid_an_utterance), ("LanguageModel", amid_an_answer), ("TextToSpeech", amid_an_answer)]


@pytest.mark.parametrize(("part", "killed_amid"), KILLS)
async def test_a_session_outlives_the_killed_replica_that_works_for_it(
    part: str, killed_amid: Callable[[Cluster, Caller, Callable[[], None]], Awaitable[None]], whole: Cluster, stopwatch: Stopwatch
) -> None:
    async with calling(whole.gateway(whole.a)) as here, calling(whole.gateway(whole.b)) as there:
        assert await here.says() == await there.says() == "completed"
        (replica,) = whole.pids(whole.b, part)
        await killed_amid(whole, there, lambda: os.kill(replica, signal.SIGKILL))
        for name, caller in (("on the other host", here), ("on its host", there)):
            stopwatch.note(f"{part} killed: session {name} speaks again", await until_it_speaks(caller))
    await nothing_is_left(whole)


async def until_it_speaks(caller: Caller) -> float:
    async def speaks() -> bool:
        return await caller.says() == "completed"

    return await eventually(speaks, "it speaks again")


async def test_a_killed_gateway_takes_only_its_own_sessions(whole: Cluster, stopwatch: Stopwatch) -> None:
    async with calling(whole.gateway(whole.a)) as here, calling(whole.gateway(whole.b)) as there:
        assert await there.says() == "completed"
        assert whole.b.kill("ServeReplica:sparkvox:Gateway") == 1
        with pytest.raises(Lost):
            await there.says()
        assert await here.says() == "completed"
        seconds = await eventually(lambda: a_turn(whole.door(whole.b)), "a new session")
        stopwatch.note("gateway killed: a new session at its host's door", seconds)
    await nothing_is_left(whole, whole.a)


async def test_a_session_goes_on_though_a_replica_that_kept_it_was_killed(whole: Cluster, stopwatch: Stopwatch) -> None:
    """On its own host; the other one has what was said before, and what is said after."""
    async with calling(whole.gateway(whole.b)) as there:
        await is_told_a_secret(there)
        assert whole.b.kill("ServeReplica:sparkvox:Sessions") == 1
        stopwatch.note("Sessions killed: its host's session speaks again", await until_it_speaks(there))
    stopwatch.note("Sessions killed: that session goes on at the other host", await goes_on(whole, there))
    await asyncio.to_thread(until, whole.is_whole, "it is there again")
    await nothing_is_left(whole)


async def test_a_blip_of_the_link_ends_no_session(whole: Cluster) -> None:
    async with calling(whole.gateway(whole.a)) as here, calling(whole.gateway(whole.b)) as there:
        whole.hosts.cut()
        await asyncio.sleep(1)  # the fault itself: as long as a cable takes to be put back
        whole.hosts.mend()
        for caller in (here, there):
            await until_it_speaks(caller)
    assert whole.is_whole()
    await nothing_is_left(whole)


async def is_answered_or_told(caller: Caller) -> bool:
    try:
        return await caller.says() in ("completed", "failed")
    except Lost:
        return caller.is_gone


async def test_a_cut_link_leaves_the_sessions_of_the_head_alone_and_the_other_host_comes_back(whole: Cluster, stopwatch: Stopwatch) -> None:
    async with calling(whole.gateway(whole.a)) as here, calling(whole.gateway(whole.b)) as there:
        assert await here.says() == await there.says() == "completed"
        whole.hosts.cut()
        began = time.monotonic()
        stopwatch.note("link cut: the session at the head speaks again", await until_it_speaks(here))
        await eventually(lambda: a_turn(whole.door(whole.a)), "a new session at the head's door")
        stopwatch.note("link cut: a new session at the head's door (10 s wanted)", time.monotonic() - began)
        await asyncio.to_thread(until, lambda: len(whole.status(whole.a)["nodes"]) == 1, "the other host counts as lost")
        stopwatch.note("link cut: the other host counts as lost (asked every 4 s)", time.monotonic() - began)
        assert await is_answered_or_told(there)
        whole.hosts.mend()
        mended = time.monotonic()
        await there.ended()
        stopwatch.note("link mended: the lost host's session is told", time.monotonic() - mended)
        assert await here.says() == "completed"
        await asyncio.to_thread(until, whole.is_whole, "the other host is back")
        stopwatch.note("link mended: the other host has all parts again", time.monotonic() - mended)
        assert await here.says() == "completed"
    await nothing_is_left(whole)


SECRET = "The door is blue."


async def is_told_a_secret(caller: Caller) -> None:
    await caller.asks(SECRET)
    assert (await caller.gets("response.done"))["response"]["status"] == "completed"
    assert await caller.says() == "completed"


async def goes_on(whole: Cluster, before: Caller) -> float:
    """Seconds until the client has its session back at the head's door, with what was said in it."""

    async def has_it_back() -> bool:
        try:
            async with calling(whole.door(whole.a), returns_to=before.id) as again:
                return again.id == before.id and SECRET in again.remembers and await again.says() == "completed"
        except Lost:
            return False

    return await eventually(has_it_back, "the session goes on")


async def test_sessions_of_a_killed_host_go_on_at_the_other_and_it_joins_again(whole: Cluster, stopwatch: Stopwatch) -> None:
    async with calling(whole.gateway(whole.a)) as here, calling(whole.gateway(whole.b)) as there:
        await is_told_a_secret(there)
        assert whole.b.kill("") > len(PARTS)
        stopwatch.note("host killed: the session at the head speaks again", await until_it_speaks(here))
        with pytest.raises(Lost):
            await there.says()
        stopwatch.note("host killed: its session goes on at the other host", await goes_on(whole, there))
        stopwatch.note("host killed: a new session at the head's door", await eventually(lambda: a_turn(whole.door(whole.a)), "a session"))
        whole.start_other()
        stopwatch.note("host started again: it has all parts", await asyncio.to_thread(until, whole.is_whole, "it has joined"))
        assert await here.says() == "completed"
    await nothing_is_left(whole)


async def test_a_killed_head_comes_back_and_the_other_hosts_sessions_never_notice(whole: Cluster, stopwatch: Stopwatch) -> None:
    async with calling(whole.gateway(whole.a)) as here, calling(whole.gateway(whole.b)) as there:
        assert await here.says() == await there.says() == "completed"
        assert whole.a.kill("gcs_server") == 1
        began = time.monotonic()
        with pytest.raises(Lost):
            await here.gets("nothing")
        stopwatch.note("head killed: the session at the other host speaks again", await until_it_speaks(there))
        await eventually(lambda: a_turn(whole.door(whole.b)), "a new session at the other host's door")
        stopwatch.note("head killed: a new session at the other host's door", time.monotonic() - began)
        await asyncio.to_thread(until, whole.is_whole, "the head has all parts again")
        stopwatch.note("head killed: both hosts have all parts again", time.monotonic() - began)
        assert await there.says() == "completed"
    await nothing_is_left(whole)


async def test_a_head_whose_host_was_killed_comes_back_and_the_other_hosts_sessions_never_notice(
    whole: Cluster, stopwatch: Stopwatch
) -> None:
    async with calling(whole.gateway(whole.a)) as here, calling(whole.gateway(whole.b)) as there:
        assert await here.says() == await there.says() == "completed"
        assert whole.a.kill("") > len(PARTS)
        began = time.monotonic()
        with pytest.raises(Lost):
            await here.gets("nothing")
        stopwatch.note("head's host killed: the session at the other host speaks again", await until_it_speaks(there))
        await eventually(lambda: a_turn(whole.door(whole.b)), "a new session at the other host's door")
        stopwatch.note("head's host killed: a new session at the other host's door", time.monotonic() - began)
        whole.start_head()
        await asyncio.to_thread(until, whole.is_whole, "the head has all parts again")
        stopwatch.note("head's host killed and started again: both hosts have all parts", time.monotonic() - began)
        assert await there.says() == "completed"
    await nothing_is_left(whole)


async def test_a_head_that_ended_and_begins_anew_has_the_other_host_back_soon(whole: Cluster, stopwatch: Stopwatch) -> None:
    whole.leave(whole.a)
    whole.start_head()
    stopwatch.note("head begun anew: both hosts have all parts", await asyncio.to_thread(until, whole.is_whole, "the other host is back"))
    assert await a_turn(whole.door(whole.b))
    await nothing_is_left(whole)


async def test_a_host_that_leaves_ends_its_answers_sends_its_sessions_on_and_leaves_nothing(whole: Cluster, stopwatch: Stopwatch) -> None:
    async with calling(whole.gateway(whole.a)) as here, calling(whole.gateway(whole.b)) as there:
        assert await here.says() == "completed"
        await is_told_a_secret(there)
        answers = asyncio.create_task(there.asks_on("and on " * 3))
        began = time.monotonic()
        leaving = asyncio.create_task(asyncio.to_thread(whole.leave, whole.b))
        assert set(await answers) == {"completed"}
        assert await there.ended() == 1012
        stopwatch.note("leave: its session is told", time.monotonic() - began)
        stopwatch.note("leave: its session goes on at the other host", await goes_on(whole, there))
        await leaving
        stopwatch.note("leave: the node has ended", time.monotonic() - began)
        assert not whole.b.processes()
        assert await here.says() == "completed"
    assert [node["address"] for node in whole.status(whole.a)["nodes"]] == [whole.a.inner]
    await nothing_is_left(whole, whole.a)


def test_in_the_end_nothing_is_left_on_either_host(cluster: Cluster, stopwatch: Stopwatch) -> None:
    """The other one has left already, where the case before was run."""
    for host in (cluster.b, cluster.a):
        if (cluster.state(host) / "node.json").exists():
            began = time.monotonic()
            cluster.leave(host)
            stopwatch.note(f"host {'a' if host is cluster.a else 'b'} leaves", time.monotonic() - began)
        assert not host.processes()
        assert host.run(["ls", "/dev/shm"], cluster.environment(), 10).stdout == ""
    assert not [path for path in cluster.folder.glob("*/node.json")]
