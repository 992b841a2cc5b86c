"""Spoken turns and push to talk, in the order of the protocol."""

from tests.conformance import speech
from tests.conformance.asking import BRIEF, completed_or_cut, ended
from tests.conformance.invariants import Event
from tests.conformance.line import Line, expect, in_order
from tests.conformance.speech import say, sentence
from tests.conformance.suite import Need, Suite, check

QUESTION = "capital_of_france.wav"
ASKED = "capital of france"
TRANSCRIBED = {"model": "gpt-4o-mini-transcribe"}
BUFFER, ITEM, TRANSCRIPTION = "input_audio_buffer", "conversation.item", "conversation.item.input_audio_transcription"


async def two_turns(suite: Suite) -> Line:
    """A spoken question answered aloud, then another one answered in writing."""
    detection = {"type": "server_vad", "silence_duration_ms": 500, "prefix_padding_ms": 300}
    heard = {"input": {"turn_detection": detection, "transcription": TRANSCRIBED}}
    async with suite.line(**BRIEF, output_modalities=["audio"], audio=heard) as line:
        await _turn(line)
        await line.update(output_modalities=["text"])
        await _turn(line)
        await line.fence()
    return line


async def _turn(line: Line) -> None:
    await say(line, sentence(QUESTION))
    created = await line.gets("response.created")
    await transcript(line)
    await ended(line, created["response"]["id"])


async def transcript(line: Line) -> Event:
    """The next transcription, completed."""
    heard = await line.gets(f"{TRANSCRIPTION}.completed", f"{TRANSCRIPTION}.failed")
    expect(heard["type"] == f"{TRANSCRIPTION}.completed", f"the transcription failed: {heard.get('error')}")
    return heard


def user_item(line: Line, turn: int = 0) -> str:
    return line.of(f"{BUFFER}.committed")[turn]["item_id"]


def _response(line: Line, turn: int = 0) -> Event:
    return line.of("response.done")[turn]["response"]


@check(Need.SPEECH)
async def spoken_turn_comes_in_order(suite: Suite) -> None:
    """speech_started, speech_stopped, committed, item.added, item.done, response.created, ..., response.done."""
    line = await suite.scene(two_turns)
    in_order(
        line.events, f"{BUFFER}.speech_started", f"{BUFFER}.speech_stopped", f"{BUFFER}.committed", f"{ITEM}.added", f"{ITEM}.done",
        "response.created", "response.output_item.added", "response.content_part.added", "response.done",
    )  # fmt: skip


@check(Need.SPEECH)
async def one_item_id_for_a_spoken_turn(suite: Suite) -> None:
    """speech_started, speech_stopped, committed, item.added and the transcription carry one item_id."""
    line = await suite.scene(two_turns)
    for turn in (0, 1):
        ids = {line.of(f"{BUFFER}.{name}")[turn]["item_id"] for name in ("speech_started", "speech_stopped", "committed")}
        ids |= {line.of(f"{TRANSCRIPTION}.completed")[turn]["item_id"]}
        expect(len(ids) == 1, f"turn {turn + 1} has the ids {ids}")
        expect([one for one in line.of(f"{ITEM}.added") if one["item"]["id"] in ids], "there is no item of that id")


@check(Need.SPEECH)
async def users_item_has_a_transcript_key(suite: Suite) -> None:
    """The user's item holds one part, {type: input_audio, transcript: null}: @openai/agents-realtime needs the key."""
    line = await suite.scene(two_turns)
    item = next(one["item"] for one in line.of(f"{ITEM}.added") if one["item"]["id"] == user_item(line))
    expect((item["type"], item["role"], item.get("status")) == ("message", "user", "completed"), f"the item is {item}")
    expect([part["type"] for part in item["content"]] == ["input_audio"], f"its content is {item['content']}")
    expect("transcript" in item["content"][0], "the part has no transcript key")


@check(Need.SPEECH)
async def answer_comes_in_order(suite: Suite) -> None:
    """output_item.added, item.added (assistant, in_progress, content []), content_part.added, deltas, audio.done, transcript.done,
    content_part.done, item.done, output_item.done, response.done."""
    line = await suite.scene(two_turns)
    response_id = _response(line)["id"]
    item_id = _response(line)["output"][0]["id"]
    about = [one for one in line.events if response_id in (one.get("response_id"), one.get("response", {}).get("id"))
             or one.get("item", {}).get("id") == item_id]  # fmt: skip
    in_order(
        about, "response.created", "response.output_item.added", f"{ITEM}.added", "response.content_part.added",
        "response.output_audio_transcript.delta", "response.output_audio.delta", "response.output_audio.done",
        "response.output_audio_transcript.done", "response.content_part.done", f"{ITEM}.done", "response.output_item.done", "response.done",
    )  # fmt: skip
    added = next(one["item"] for one in about if one["type"] == f"{ITEM}.added")
    expect((added["role"], added["status"], added["content"]) == ("assistant", "in_progress", []), f"the added item is {added}")


@check(Need.SPEECH)
async def parts_and_items_have_their_own_names(suite: Suite) -> None:
    """Parts are `audio` or `text` in content_part events, `output_audio` or `output_text` in items."""
    line = await suite.scene(two_turns)
    for turn, kind in ((0, "audio"), (1, "text")):
        response = completed_or_cut(_response(line, turn))
        parts = [one["part"]["type"] for one in line.of("response.content_part.*", response_id=response["id"])]
        expect(set(parts) == {kind}, f"the parts are {parts}")
        contents = [part["type"] for item in response["output"] for part in item["content"]]
        expect(set(contents) == {f"output_{kind}"}, f"the items hold {contents}")


@check(Need.SPEECH)
async def rate_limits_follow_the_response(suite: Suite) -> None:
    """rate_limits.updated comes after response.done; its entries have name, limit, remaining and reset_seconds."""
    line = await suite.scene(two_turns)
    in_order(line.events[line.at(line.of("response.done")[0]) :], "response.done", "rate_limits.updated")
    for limit in line.of("rate_limits.updated")[0]["rate_limits"]:
        missing = {"name", "limit", "remaining", "reset_seconds"} - limit.keys()
        expect(not missing, f"an entry lacks {missing}")


@check(Need.SPEECH)
async def items_follow_each_other(suite: Suite) -> None:
    """committed and item.added name the item before: user, assistant, user, assistant."""
    line = await suite.scene(two_turns)
    ids = [user_item(line), _response(line)["output"][0]["id"], user_item(line, 1), _response(line, 1)["output"][0]["id"]]
    previous = {one["item"]["id"]: one.get("previous_item_id") for one in line.of(f"{ITEM}.added")}
    expect([previous[one] for one in ids] == [None, *ids[:-1]], f"the items {ids} follow {[previous[one] for one in ids]}")
    committed = [one.get("previous_item_id") for one in line.of(f"{BUFFER}.committed")]
    expect(committed == [None, ids[1]], f"committed says {committed}")


@check(Need.SPEECH)
async def usage_adds_up(suite: Suite) -> None:
    """total = input + output; each is the sum of its text, audio and image tokens; cached are part of the input."""
    line = await suite.scene(two_turns)
    for turn in (0, 1):
        usage = _response(line, turn)["usage"]
        read, written = usage["input_token_details"], usage["output_token_details"]
        expect(usage["input_tokens"] > 0 and usage["output_tokens"] > 0, f"usage is {usage}")
        expect(usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"], f"usage is {usage}")
        kinds = ("text_tokens", "audio_tokens", "image_tokens")
        expect(sum(read.get(kind) or 0 for kind in kinds) == usage["input_tokens"], f"input details are {read}")
        expect(sum(written.get(kind) or 0 for kind in kinds[:2]) == usage["output_tokens"], f"output details are {written}")
        expect((read.get("cached_tokens") or 0) <= usage["input_tokens"], f"input details are {read}")


@check(Need.SPEECH)
async def audio_is_sound(suite: Suite) -> None:
    """The audio deltas are base64 of whole samples, and not silence."""
    line = await suite.scene(two_turns)
    data = speech.spoken(line, _response(line)["id"])
    expect(len(data) > 4800 and len(data) % 2 == 0, f"there are {len(data)} bytes of audio")
    loudness = speech.loudness_dbfs(speech.decoded(data, "audio/pcm"))
    expect(loudness > -50, f"the audio has {loudness:.0f} dBFS")


@check(Need.SPEECH)
async def speech_has_its_times(suite: Suite) -> None:
    """audio_start_ms and audio_end_ms count from the session's first audio: before the words, and after them by the silence."""
    line = await suite.scene(two_turns)
    start = line.of(f"{BUFFER}.speech_started")[0]["audio_start_ms"]
    end = line.of(f"{BUFFER}.speech_stopped")[0]["audio_end_ms"]
    spoken = [round(1000 * at) for at in (speech.BEFORE_S, speech.BEFORE_S + speech.seconds_of(QUESTION))]
    expect(0 <= start <= spoken[0] + 300, f"speech from {spoken[0]} ms starts at {start}")
    expect(spoken[1] - 300 <= end <= spoken[1] + 1000, f"speech until {spoken[1]} ms stops at {end}")
    again = line.of(f"{BUFFER}.speech_started")[1]["audio_start_ms"]
    first_ms = round(1000 * len(sentence(QUESTION)) / 24_000)
    expect(again >= first_ms, f"the second turn, whose audio begins at {first_ms} ms, starts at {again}")
