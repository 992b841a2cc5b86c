"""Answers that are begun while the silence is still waited for."""

from tests.session.line import House, eventually

PAUSED = {"turn_detection": {"type": "server_vad", "silence_duration_ms": 600}, "transcription": {"model": "whisper-1"}}


async def test_the_answer_is_written_and_begun_to_be_spoken_while_the_silence_is_still_waited_for() -> None:
    house = House(["What is it?"], ["A tree. I think so."])
    async with house.session() as line:
        line.sets(audio={"input": PAUSED})
        line.speaks(1.0, silence_s=0.4)
        await eventually(lambda: [speech.text for speech in house.voice.spoken], ["A tree."])
        assert not [one for one in line.seen if one["type"].startswith("response.")]
        line.speaks(0.0, silence_s=0.4)
        response = (await line.gets("response.done"))["response"]
        assert response["output"][0]["content"][0]["transcript"] == "A tree. I think so."
        assert len(house.model.prompts) == 1
        line.invariants.finish()


async def test_a_speaker_who_goes_on_is_not_answered_twice() -> None:
    house = House([], ["A tree.", "An oak."])
    async with house.session() as line:
        line.sets(audio={"input": PAUSED})
        line.speaks(1.0, silence_s=0.4)
        await eventually(lambda: len(house.model.prompts), 1)
        line.speaks(1.0, silence_s=0.8)
        response = (await line.gets("response.done"))["response"]
        assert response["output"][0]["content"][0]["transcript"] == "An oak."
        assert sum(one["type"] == "response.created" for one in line.seen) == 1
        first, second = (float(house.prompt(number)[-1][1].split()[1]) for number in (0, 1))
        assert second > first + 1.0, "the second answer is to all that was said"
