"""Items: where they are put, what they hold, how they go."""

import base64

from tests.conformance import speech
from tests.conformance.asking import BRIEF, PUSH_TO_TALK, STORY, TEXT, answer, ask, begin, completed_or_cut, message, prompt_tokens, put
from tests.conformance.checks_turns import ASKED, BUFFER, ITEM, QUESTION, TRANSCRIBED, transcript, two_turns
from tests.conformance.invariants import LONGEST_MESSAGE
from tests.conformance.line import expect, in_order
from tests.conformance.suite import Need, Suite, check

HISTORY = " ".join(["The tide comes in twice a day and goes out twice a day."] * 10)


@check()
async def created_at_the_end(suite: Suite) -> None:
    """An item without previous_item_id is appended: item.added, item.done, with its content and status completed."""
    async with suite.line() as line:
        first = await put(line, message("One."))
        second = await put(line, message("Two.", "assistant"))
        await line.fence()
        added = line.of(f"{ITEM}.added")
        expect([one.get("previous_item_id") for one in added] == [None, first], "the second does not follow the first")
        item = line.of(f"{ITEM}.done")[1]["item"]
        expect((item["id"], item["role"], item["status"]) == (second, "assistant", "completed"), f"the item is {item}")
        expect(item["content"] == [{"type": "output_text", "text": "Two."}], f"its content is {item['content']}")
        in_order(line.events, f"{ITEM}.added", f"{ITEM}.done")


@check()
async def created_at_the_root_and_in_the_middle(suite: Suite) -> None:
    """previous_item_id "root" puts an item first, an id puts it right after that one; item.added tells where it is."""
    async with suite.line() as line:
        last = await put(line, message("Last."))
        first = await put(line, message("First."), previous_item_id="root")
        middle = await put(line, message("Middle."), previous_item_id=first)
        places = {one["item"]["id"]: one.get("previous_item_id") for one in line.of(f"{ITEM}.added")}
        expect(places == {last: None, first: None, middle: first}, f"the items follow {places}")
        end = await put(line, message("End."))
        expect(line.of(f"{ITEM}.added")[-1].get("previous_item_id") == last, f"{end} was not appended after {last}")


@check()
async def clients_id_is_kept(suite: Suite) -> None:
    """An item has the id that the client gave it."""
    async with suite.line() as line:
        given = await put(line, message("Mine.", id="my_item_1"))
        expect(given == "my_item_1", f"its id is {given!r}")


@check()
async def duplicate_ids_are_refused(suite: Suite) -> None:
    """An id that is taken is refused: item_create_duplicate_item_id; the first item stays."""
    async with suite.line() as line:
        await put(line, message("One.", id="my_item_1"))
        error = await line.refused(f"{ITEM}.create", item=message("Two.", id="my_item_1"))
        expect(error["code"] == "item_create_duplicate_item_id", f"the code is {error['code']!r}")
        await line.send(f"{ITEM}.retrieve", item_id="my_item_1")
        kept = (await line.gets(f"{ITEM}.retrieved"))["item"]
        expect(kept["content"][0]["text"] == "One.", f"the item is {kept}")


@check()
async def unknown_previous_item_is_refused(suite: Suite) -> None:
    """A previous_item_id that is not there is refused, and the item is not added."""
    async with suite.line() as line:
        error = await line.refused(f"{ITEM}.create", item=message("Lost."), previous_item_id="item_nobody")
        expect(error.get("code"), "the error has no code")
        await line.fence()
        expect(not line.of(f"{ITEM}.added"), "the item was added")


@check()
async def every_role_is_taken(suite: Suite) -> None:
    """Messages of system, user and assistant, function_call and function_call_output are taken as history."""
    call = {"type": "function_call", "name": "weather", "call_id": "call_1", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "Sunny."}
    async with suite.line(**TEXT) as line:
        items = [message("Be kind.", "system"), message("How is it?"), call, output, message("Sunny.", "assistant")]
        for item in items:
            await put(line, item)
        await line.fence()
        kinds = [one["item"]["type"] for one in line.of(f"{ITEM}.done")]
        expect(kinds == [item["type"] for item in items], f"the items are {kinds}")
        completed_or_cut(await ask(line, "And tomorrow?"))


@check()
async def seeded_history_is_read(suite: Suite) -> None:
    """Items that the client adds are part of the prompt, in place of nothing; deleted ones are not."""
    async with suite.line(**TEXT) as line:
        await put(line, message("Hello."))
        bare = await prompt_tokens(line)
        seeded = await put(line, message(HISTORY, "assistant"))
        full = await prompt_tokens(line)
        expect(full >= bare + 50, f"the prompt has {bare} tokens without and {full} with a long item")
        await line.send(f"{ITEM}.delete", item_id=seeded)
        await line.gets(f"{ITEM}.deleted")
        left = await prompt_tokens(line)
        expect(left < full - 50, f"the prompt has {full} tokens before and {left} after the item was deleted")


@check()
async def delete_is_told(suite: Suite) -> None:
    """delete is answered with deleted; then the item is not there any more, and its id is free."""
    async with suite.line() as line:
        item_id = await put(line, message("Gone.", id="my_item_1"))
        await line.send(f"{ITEM}.delete", item_id=item_id)
        deleted = await line.gets(f"{ITEM}.deleted")
        expect(deleted["item_id"] == item_id, f"deleted names {deleted['item_id']!r}")
        error = await line.refused(f"{ITEM}.retrieve", item_id=item_id)
        expect(error["code"] == "item_retrieve_invalid_item_id", f"the code is {error['code']!r}")
        await line.refused(f"{ITEM}.delete", item_id=item_id)
        await put(line, message("Back.", id="my_item_1"))


@check()
async def retrieve_gives_the_item(suite: Suite) -> None:
    """retrieve is answered with the item as it was added."""
    async with suite.line() as line:
        item_id = await put(line, message("Here I am."))
        await line.send(f"{ITEM}.retrieve", item_id=item_id)
        item = (await line.gets(f"{ITEM}.retrieved"))["item"]
        expect(item == line.of(f"{ITEM}.done")[0]["item"], f"the item is {item}")


@check(Need.SPEECH)
async def spoken_items_are_retrieved(suite: Suite) -> None:
    """A spoken item can be retrieved, the user's and the assistant's, in a message of less than 1 MiB."""
    async with suite.line(**BRIEF, output_modalities=["audio"], **PUSH_TO_TALK) as line:
        await speech.say(line, speech.recording("best_of_times.wav"))
        for _ in range(3):
            await speech.say(line, speech.silence(10.0))
        await line.send(f"{BUFFER}.commit")
        user_id = (await line.gets(f"{BUFFER}.committed"))["item_id"]
        answered = completed_or_cut(await ask(line, "Say hello.", max_output_tokens=12))
        for item_id in (user_id, answered["output"][0]["id"]):
            await line.send(f"{ITEM}.retrieve", item_id=item_id)
            item = (await line.gets(f"{ITEM}.retrieved"))["item"]
            audio = item["content"][0].get("audio") or ""
            expect(item["id"] == item_id and "transcript" in item["content"][0], f"the item has {list(item['content'][0])}")
            expect(len(audio) < LONGEST_MESSAGE, f"its audio has {len(audio)} characters")


@check(Need.SPEECH, Need.WORDS)
async def audio_in_an_item_is_heard(suite: Suite) -> None:
    """A user's message with input_audio and no transcript is added like any item, and transcribed under its id."""
    audio = base64.b64encode(speech.encoded(speech.recording(QUESTION))).decode()
    item = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": audio}]}
    async with suite.line(**TEXT, audio={"input": {"transcription": TRANSCRIBED}}) as line:
        item_id = await put(line, item)
        heard = await transcript(line)
        expect(heard["item_id"] == item_id, f"completed names {heard['item_id']}, the item is {item_id}")
        expect(ASKED in speech.words(heard["transcript"]), f"it heard {heard['transcript']!r}")
        completed_or_cut(await answer(line))


@check()
async def items_in_the_making_are_retrieved(suite: Suite) -> None:
    """retrieve of an answer that is being made gives the item (openai-agents-python asks after each transcription)."""
    async with suite.line(**{**TEXT, "max_output_tokens": 60}) as line:
        await put(line, message(STORY))
        await begin(line)
        item_id = (await line.gets("response.output_item.added"))["item"]["id"]
        await line.send(f"{ITEM}.retrieve", item_id=item_id)
        item = (await line.gets(f"{ITEM}.retrieved"))["item"]
        expect((item["id"], item["role"]) == (item_id, "assistant"), f"the item is {item}")


@check(Need.SPEECH)
async def retrieved_audio_is_what_was_said(suite: Suite) -> None:
    """Where a retrieved item has audio, it is as long as what was spoken."""
    async with suite.line(**BRIEF, **PUSH_TO_TALK) as line:
        pcm = speech.recording(QUESTION)
        await speech.say(line, pcm)
        await line.send(f"{BUFFER}.commit")
        await line.send(f"{ITEM}.retrieve", item_id=(await line.gets(f"{BUFFER}.committed"))["item_id"])
        part = (await line.gets(f"{ITEM}.retrieved"))["item"]["content"][0]
        expect(part.get("audio"), "the retrieved item has no audio")
        samples = len(part["audio"]) * 3 // 4 // 2
        expect(abs(samples - len(pcm)) <= 0.1 * len(pcm), f"of {len(pcm)} samples {samples} were kept")


@check(Need.SPEECH)
async def transcripts_are_retrieved(suite: Suite) -> None:
    """The done assistant item carries the transcript of all of its deltas."""
    line = await suite.scene(two_turns)
    item = line.of("response.done")[0]["response"]["output"][0]
    deltas = line.of("response.output_audio_transcript.delta", item_id=item["id"])
    expect(item["content"][0]["transcript"] == "".join(one["delta"] for one in deltas), f"the item holds {item['content']}")
