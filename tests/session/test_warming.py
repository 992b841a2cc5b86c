"""The language model reads the conversation while the user speaks."""

import asyncio

from serve_app.errors import EngineFailed
from tests.session.line import House, Line


async def a_turn(line: Line) -> None:
    line.speaks(1.0, silence_s=0.8)
    await line.gets("response.done")


def read(house: House) -> list[list[tuple[str, str]]]:
    """The prompts of which nobody wanted the answer."""
    return [house.prompt(at) for at, prompt in enumerate(house.model.prompts) if prompt.max_tokens == 1]


async def test_the_conversation_is_read_again_when_it_has_grown_and_the_client_sees_nothing_of_it() -> None:
    house = House(["Hello."] * 2)
    async with house.session(warms=lambda: True, eager=lambda: False) as line:
        line.sets(output_modalities=["text"])
        await a_turn(line)
        await a_turn(line)
    assert read(house) == [
        [("system", "Be brief."), ("user", "Hello.")],
        [("system", "Be brief."), ("user", "Hello."), ("assistant", "You said: Hello."), ("user", "Hello.")],
    ]
    assert line.types().count("response.created") == 2
    usage = [event["response"]["usage"]["output_tokens"] for event in line.seen if event["type"] == "response.done"]
    assert usage == [3, 3]


async def test_nothing_is_read_where_there_is_no_room() -> None:
    house = House()
    async with house.session(warms=lambda: False) as line:
        await a_turn(line)
    assert read(house) == []


async def test_a_reading_that_is_not_done_gives_way_to_the_answer() -> None:
    house = House()
    async with house.session(warms=lambda: True, eager=lambda: False) as line:
        line.sets(audio={"input": {"transcription": {"model": "x"}}})
        house.model.gate.clear()
        line.speaks(1.0, silence_s=0.8)
        await line.gets("conversation.item.input_audio_transcription.completed")
        for _ in range(50):  # whatever can run has run
            await asyncio.sleep(0)
        assert (len(house.model.prompts), house.model.live) == (2, 1)
        house.model.gate.set()
        await line.gets("response.done")


async def test_a_model_that_cannot_read_ahead_answers_all_the_same() -> None:
    house = House(replies=[EngineFailed("broken"), "Hi."])
    async with house.session(warms=lambda: True, eager=lambda: False) as line:
        line.speaks(1.0, silence_s=0.8)
        done = (await line.gets("response.done"))["response"]
    assert done["output"][0]["content"][0]["transcript"] == "Hi."
