"""What is heard: transcription, and speech that the client commits itself (push to talk)."""

from tests.conformance import speech
from tests.conformance.asking import BRIEF, PUSH_TO_TALK, answer, completed_or_cut, ended
from tests.conformance.checks_turns import ASKED, BUFFER, ITEM, QUESTION, TRANSCRIBED, TRANSCRIPTION, transcript, two_turns, user_item
from tests.conformance.line import Line, expect, in_order
from tests.conformance.speech import say, sentence
from tests.conformance.suite import Need, Suite, check


@check(Need.SPEECH)
async def transcription_only_grows(suite: Suite) -> None:
    """The deltas of a transcription joined are its transcript; they end with one completed."""
    line = await suite.scene(two_turns)
    for turn in (0, 1):
        item_id = user_item(line, turn)
        completed = line.of(f"{TRANSCRIPTION}.completed", item_id=item_id)
        expect(len(completed) == 1, f"there are {len(completed)} completed events")
        deltas = line.of(f"{TRANSCRIPTION}.delta", item_id=item_id)
        joined = "".join(one.get("delta") or "" for one in deltas)
        expect(joined.strip() == completed[0]["transcript"].strip(), f"{joined!r} became {completed[0]['transcript']!r}")
        expect(all(line.at(one) < line.at(completed[0]) for one in deltas), "a delta comes after completed")


@check(Need.SPEECH)
async def transcription_has_usage(suite: Suite) -> None:
    """completed carries usage, in seconds of audio or in tokens that add up."""
    usage = (await suite.scene(two_turns)).of(f"{TRANSCRIPTION}.completed")[0]["usage"]
    if usage["type"] == "duration":
        expect(0.5 <= usage["seconds"] <= speech.seconds_of(QUESTION) + 2, f"usage is {usage}")
    else:
        expect(usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"], f"usage is {usage}")


@check(Need.SPEECH, Need.WORDS)
async def transcription_is_right(suite: Suite) -> None:
    """The transcript has the words that were spoken."""
    for one in (await suite.scene(two_turns)).of(f"{TRANSCRIPTION}.completed"):
        expect(ASKED in speech.words(one["transcript"]), f"it heard {one['transcript']!r}")


@check(Need.SPEECH)
async def no_transcription_unless_asked_for(suite: Suite) -> None:
    """Without audio.input.transcription there are no transcription events; the turn is answered all the same."""
    async with suite.line(**BRIEF, output_modalities=["text"], audio={"input": {"transcription": None}}) as line:
        await say(line, sentence(QUESTION))
        completed_or_cut(await ended(line, (await line.gets("response.created"))["response"]["id"]))
        expect(not line.of(f"{TRANSCRIPTION}*"), "there are transcription events")


@check(Need.SPEECH, Need.FAILING)
async def failed_transcription_harms_nothing(suite: Suite) -> None:
    """A transcription that fails is told with transcription.failed; the turn is answered."""
    heard = {"input": {"transcription": {**TRANSCRIBED, "prompt": "fail"}, "turn_detection": {"type": "server_vad"}}}
    async with suite.line(**BRIEF, output_modalities=["text"], audio=heard) as line:
        await say(line, sentence(QUESTION))
        failed = await line.gets(f"{TRANSCRIPTION}.failed")
        expect(failed["error"].get("message") and failed["item_id"] == user_item(line), f"it is {failed}")
        completed_or_cut(await ended(line, (await line.gets("response.created"))["response"]["id"]))
        expect(not line.of(f"{TRANSCRIPTION}.completed"), "the transcription is completed too")


# --- push to talk -----------------------------------------------------------------------------------------------------------------------


async def pushed(suite: Suite) -> Line:
    heard = {"input": {"turn_detection": None, "transcription": TRANSCRIBED}}
    async with suite.line(**BRIEF, output_modalities=["text"], audio=heard) as line:
        await say(line, sentence(QUESTION))
        await line.send(f"{BUFFER}.commit")
        await transcript(line)
        await line.fence()
        expect(not line.of("response.*"), "there is a response before it was asked for")
        await answer(line)
    return line


@check(Need.SPEECH)
async def push_to_talk_comes_in_order(suite: Suite) -> None:
    """append, commit: committed, item.added, item.done, without speech events; nothing more until response.create."""
    line = await suite.scene(pushed)
    in_order(line.events, f"{BUFFER}.committed", f"{ITEM}.added", f"{ITEM}.done", "response.created", "response.done")
    expect(not line.of(f"{BUFFER}.speech*"), "there are speech events without turn detection")
    added = line.of(f"{ITEM}.added")[0]["item"]
    expect(added["id"] == user_item(line) and added["role"] == "user", f"the committed item is {added}")


@check(Need.SPEECH, Need.WORDS)
async def push_to_talk_is_heard(suite: Suite) -> None:
    """What was committed is transcribed."""
    heard = (await suite.scene(pushed)).of(f"{TRANSCRIPTION}.completed")[0]["transcript"]
    expect(ASKED in speech.words(heard), f"it heard {heard!r}")


@check()
async def clear_empties_the_buffer(suite: Suite) -> None:
    """input_audio_buffer.clear is answered with cleared; then there is nothing to commit."""
    async with suite.line(**PUSH_TO_TALK) as line:
        await say(line, speech.silence(1.0))
        await line.send(f"{BUFFER}.clear")
        await line.gets(f"{BUFFER}.cleared")
        error = await line.refused(f"{BUFFER}.commit")
        expect(error["code"] == "input_audio_buffer_commit_empty", f"the code is {error['code']!r}")


@check()
async def commit_needs_100_ms(suite: Suite) -> None:
    """Less than 100 ms cannot be committed (input_audio_buffer_commit_empty); 200 ms can."""
    async with suite.line(**PUSH_TO_TALK) as line:
        await say(line, speech.silence(0.06))
        error = await line.refused(f"{BUFFER}.commit")
        expect(error["code"] == "input_audio_buffer_commit_empty", f"the code is {error['code']!r}")
        await say(line, speech.silence(0.2))
        await line.send(f"{BUFFER}.commit")
        await line.gets(f"{BUFFER}.committed")


@check(Need.SPEECH)
async def a_commit_that_is_not_answered_is_remembered(suite: Suite) -> None:
    """Two commits and then one response: both are in the conversation, in order."""
    async with suite.line(**BRIEF, output_modalities=["text"], **PUSH_TO_TALK) as line:
        for _ in range(2):
            await say(line, sentence(QUESTION))
            await line.send(f"{BUFFER}.commit")
            await line.gets(f"{BUFFER}.committed")
        completed_or_cut(await answer(line))
        expect(line.of(f"{BUFFER}.committed")[1].get("previous_item_id") == user_item(line), "the second does not follow the first")
