"""Turn detection: each field means what it says. Times are those that the server tells, in its own audio clock."""

from collections.abc import Awaitable, Callable
from typing import Any

from tests.conformance import speech
from tests.conformance.asking import TEXT, ask, completed_or_cut, ended
from tests.conformance.checks_turns import BUFFER, ITEM, QUESTION, TRANSCRIBED, TRANSCRIPTION, transcript
from tests.conformance.line import Line, expect, in_order
from tests.conformance.speech import say, sentence
from tests.conformance.suite import Need, Suite, add, check

LIMITS_S = {"low": 8.0, "medium": 4.0, "high": 2.0, "auto": 4.0}
TOLERANCE_MS = 150
PACED_S = 0.1


def detecting(kind: str = "server_vad", **fields: Any) -> dict[str, Any]:
    return {**TEXT, "audio": {"input": {"turn_detection": {"type": kind, "create_response": False, **fields}}}}


async def _times(suite: Suite, after_s: float = 2.0, **fields: Any) -> tuple[int, int]:
    """When the recorded sentence started and stopped, for the server."""
    async with suite.line(**detecting(**fields)) as line:
        await say(line, sentence(QUESTION, after_s=after_s))
        started = await line.gets(f"{BUFFER}.speech_started")
        return started["audio_start_ms"], (await line.gets(f"{BUFFER}.speech_stopped"))["audio_end_ms"]


async def tight(suite: Suite) -> tuple[int, int]:
    return await _times(suite, prefix_padding_ms=0, silence_duration_ms=400)


async def wide(suite: Suite) -> tuple[int, int]:
    return await _times(suite, prefix_padding_ms=400, silence_duration_ms=1200)


@check(Need.SPEECH)
async def prefix_padding_ms(suite: Suite) -> None:
    """400 ms more of prefix_padding_ms start the same speech 400 ms earlier."""
    earlier = (await suite.scene(tight))[0] - (await suite.scene(wide))[0]
    expect(abs(earlier - 400) <= TOLERANCE_MS, f"it starts {earlier} ms earlier")


@check(Need.SPEECH)
async def silence_duration_ms(suite: Suite) -> None:
    """800 ms more of silence_duration_ms end the same speech 800 ms later."""
    later = (await suite.scene(wide))[1] - (await suite.scene(tight))[1]
    expect(abs(later - 800) <= TOLERANCE_MS, f"it stops {later} ms later")


@check(Need.SPEECH)
async def threshold(suite: Suite) -> None:
    """With a threshold of 1 faint speech is none; with .5 plain speech is."""
    faint = (sentence(QUESTION) * 0.003).astype("int16")
    async with suite.line(**detecting(threshold=1.0)) as line:
        await say(line, faint)
        await line.update(**detecting(threshold=0.5))
        await say(line, sentence(QUESTION))
        started = await line.gets(f"{BUFFER}.speech_started")
        first_ms = 1000 * len(faint) / 24_000
        expect(started["audio_start_ms"] >= first_ms - 300, f"speech starts at {started['audio_start_ms']} ms, within the faint sentence")


@check(Need.SPEECH)
async def create_response_false(suite: Suite) -> None:
    """create_response false: the turn is committed and not answered until response.create."""
    async with suite.line(**detecting()) as line:
        await say(line, sentence(QUESTION))
        committed = await line.gets(f"{BUFFER}.committed")
        await line.gets(f"{ITEM}.done", where=lambda event: event["item"]["id"] == committed["item_id"])
        await line.fence()
        expect(not line.of("response.*"), "there is a response")
        await line.send("response.create")
        completed_or_cut(await ended(line, (await line.gets("response.created"))["response"]["id"]))


@check(Need.SPEECH)
async def interrupt_response_false(suite: Suite) -> None:
    """interrupt_response false: speech during an answer does not end it."""
    async with suite.line(**detecting(interrupt_response=False)) as line:
        await line.send("response.create", response={"instructions": "Tell a story about the sea.", "max_output_tokens": 60})
        created = await line.gets("response.created")
        await say(line, sentence(QUESTION))
        completed_or_cut(await ended(line, created["response"]["id"]))
        await line.gets(f"{BUFFER}.speech_stopped")


@check()
async def idle_timeout_ms(suite: Suite) -> None:
    """After an answer and so much silence: timeout_triggered, a system item, committed, the user's item, response.created."""
    detection = {"type": "server_vad", "idle_timeout_ms": suite.options.idle_ms}
    async with suite.line(**TEXT, audio={"input": {"turn_detection": detection}}) as line:
        await ask(line, "Say hello.")
        await say(line, speech.silence(0.2))
        triggered = await line.gets(f"{BUFFER}.timeout_triggered")
        await ended(line, (await line.gets("response.created"))["response"]["id"])
        after = line.events[line.at(triggered) :]
        in_order(after, f"{BUFFER}.timeout_triggered", f"{ITEM}.added", f"{ITEM}.done", f"{BUFFER}.committed", "response.created")
        roles = [one["item"]["role"] for one in after if one["type"] == f"{ITEM}.added"]
        expect(roles[:2] == ["system", "user"], f"the items added are of {roles}")
        user = next(one["item"] for one in after if one["type"] == f"{ITEM}.added" and one["item"]["role"] == "user")
        expect(triggered["item_id"] == user["id"], f"timeout_triggered names {triggered['item_id']}, the user's item is {user['id']}")
        expect(triggered["audio_end_ms"] >= triggered["audio_start_ms"] >= 0, f"it is {triggered}")


def _eagerness(name: str, limit_s: float) -> None:
    async def run(suite: Suite) -> None:
        async with suite.line(**detecting("semantic_vad", eagerness=name)) as line:
            echoed = line.of("session.updated")[-1]["session"]["audio"]["input"]["turn_detection"]
            expect(echoed["eagerness"] == name, f"the echoed eagerness is {echoed['eagerness']!r}")
            await say(line, sentence(QUESTION, after_s=limit_s + 1))
            stopped = await line.gets(f"{BUFFER}.speech_stopped")
            after_s = stopped["audio_end_ms"] / 1000 - speech.BEFORE_S - speech.seconds_of(QUESTION)
            expect(-0.3 <= after_s <= limit_s + 0.3, f"the turn ends {after_s:.1f} s after the words")
            await line.gets(f"{BUFFER}.committed")

    rule = f"semantic_vad with eagerness {name} ends a turn after at most {limit_s:g} s of silence"
    add(f"detection.semantic_vad {name}", rule, run, [Need.SPEECH])


for _name, _limit_s in LIMITS_S.items():
    _eagerness(_name, _limit_s)


@check(Need.SPEECH)
async def semantic_vad_answers(suite: Suite) -> None:
    """A turn that semantic_vad ended is answered in the order of every spoken turn."""
    heard = {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "high"}, "transcription": TRANSCRIBED}}
    async with suite.line(**TEXT, audio=heard) as line:
        await say(line, sentence(QUESTION, after_s=2.5))
        completed_or_cut(await ended(line, (await line.gets("response.created"))["response"]["id"]))
        names = [f"{BUFFER}.speech_started", f"{BUFFER}.speech_stopped", f"{BUFFER}.committed", f"{ITEM}.added", f"{ITEM}.done"]
        in_order(line.events, *names, "response.created", "response.done")


@check(Need.SPEECH)
async def detection_may_change_in_mid_session(suite: Suite) -> None:
    """From push to talk to server_vad and back: each obeys from then on."""
    async with suite.line(**TEXT, audio={"input": {"turn_detection": None}}) as line:
        await say(line, sentence(QUESTION))
        await line.send(f"{BUFFER}.clear")
        await line.gets(f"{BUFFER}.cleared")
        expect(not line.of(f"{BUFFER}.speech*"), "there are speech events without turn detection")
        await line.update(**detecting())
        await say(line, sentence(QUESTION))
        await line.gets(f"{BUFFER}.committed")
        before = len(line.of(f"{BUFFER}.speech*"))
        expect(before == 2, f"there are {before} speech events for one sentence")
        await line.update(audio={"input": {"turn_detection": None}})
        await say(line, sentence(QUESTION))
        await line.fence()
        expect(len(line.of(f"{BUFFER}.speech*")) == before, "there are speech events without turn detection")


async def _in_mid_speech(suite: Suite, then: Callable[[Line], Awaitable[None]]) -> list[str]:
    """Half of a sentence is said, something is done once it is heard, and the rest is said. Returns the buffer's events."""
    whole = sentence(QUESTION, after_s=2.0)
    half = int(speech.RATES["audio/pcm"] * (speech.BEFORE_S + speech.seconds_of(QUESTION) / 2))
    async with suite.line(**detecting()) as line:
        await say(line, whole[:half])
        await line.gets(f"{BUFFER}.speech_started")
        await then(line)
        await say(line, whole[half:])
        await line.gets(f"{BUFFER}.committed")
        await line.fence()
        return [one["type"].removeprefix(f"{BUFFER}.") for one in line.of(f"{BUFFER}.*")]


def _change_in_mid_speech(name: str, detection: dict[str, Any]) -> None:
    async def run(suite: Suite) -> None:
        async def change(line: Line) -> None:
            await line.update(audio={"input": {"turn_detection": {"create_response": False, **detection}}})

        told = await _in_mid_speech(suite, change)
        expect(told == ["speech_started", "speech_stopped", "committed"], f"the events are {told}")

    rule = f"what is being said goes on when turn_detection changes to {name}"
    add(f"detection.changes in mid-speech to {name}", rule, run, [Need.SPEECH])


_change_in_mid_speech("another silence", {"type": "server_vad", "silence_duration_ms": 800})
_change_in_mid_speech("another threshold", {"type": "server_vad", "threshold": 0.6})
_change_in_mid_speech("semantic_vad", {"type": "semantic_vad", "eagerness": "high"})


@check(Need.SPEECH)
async def commit_in_mid_speech(suite: Suite) -> None:
    """A commit in mid-speech: speech_stopped, committed; the rest of the speech is another turn, in a pair of its own."""

    async def commit(line: Line) -> None:
        await line.send(f"{BUFFER}.commit")
        await line.gets(f"{BUFFER}.committed")

    told = await _in_mid_speech(suite, commit)
    expect(told == 2 * ["speech_started", "speech_stopped", "committed"], f"the events are {told}")


@check(Need.SPEECH)
async def clear_in_mid_speech(suite: Suite) -> None:
    """A clear in mid-speech: speech_stopped, cleared; the rest of the speech is a turn, in a pair of its own."""

    async def clear(line: Line) -> None:
        await line.send(f"{BUFFER}.clear")

    told = await _in_mid_speech(suite, clear)
    pair = ["speech_started", "speech_stopped"]
    expect(told == [*pair, "cleared", *pair, "committed"], f"the events are {told}")


# --- the formats ------------------------------------------------------------------------------------------------------------------------


async def _heard_in(suite: Suite, form: str) -> Line:
    heard = {"format": {"type": form}, "transcription": TRANSCRIBED, "turn_detection": {"type": "server_vad", "create_response": False}}
    async with suite.line(audio={"input": heard}) as line:
        await say(line, sentence(QUESTION, form), form)
        await transcript(line)
    return line


async def in_pcmu(suite: Suite) -> Line:
    return await _heard_in(suite, "audio/pcmu")


async def in_pcma(suite: Suite) -> Line:
    return await _heard_in(suite, "audio/pcma")


_SCENES = {"audio/pcmu": in_pcmu, "audio/pcma": in_pcma}


def _input_format(form: str) -> None:
    async def starts_and_stops(suite: Suite) -> None:
        line = await suite.scene(_SCENES[form])
        start = line.of(f"{BUFFER}.speech_started")[0]["audio_start_ms"] / 1000
        end = line.of(f"{BUFFER}.speech_stopped")[0]["audio_end_ms"] / 1000
        words_end = speech.BEFORE_S + speech.seconds_of(QUESTION)
        expect(start <= speech.BEFORE_S + 0.3 and words_end - 0.3 <= end <= words_end + 1, f"speech is from {start:.2f} to {end:.2f} s")

    async def is_right(suite: Suite) -> None:
        heard = (await suite.scene(_SCENES[form])).of(f"{TRANSCRIPTION}.completed")[0]["transcript"]
        expect("capital" in speech.words(heard), f"it heard {heard!r}")

    short = form.removeprefix("audio/")
    add(f"detection.hears {short}", f"speech in {form} (8000 Hz) is found where it is", starts_and_stops, [Need.SPEECH])
    add(f"detection.understands {short}", f"speech in {form} is transcribed", is_right, [Need.SPEECH, Need.WORDS])


for _form in _SCENES:
    _input_format(_form)
