"""The official client has recordings transcribed."""

import io

import numpy as np
import pytest
import soundfile
from openai import APIError, APIStatusError, AsyncOpenAI, BadRequestError

from deployments.engines.fake import FakeRecogniser
from serve_app.engines import HEARING_RATE, Due, Engines, Hypothesis, Pcm, Word
from serve_app.http.phrases import LONGEST_S, pieces
from serve_app.listening import Listening
from tests.fake_server import HEARD, fakes
from tests.http.conftest import Connect
from tests.recordings import BEST_OF_TIMES


class HearsWords(FakeRecogniser):
    """Gives word times too."""

    def step(self, due: list[Due]) -> list[Hypothesis | Exception]:
        words = (Word("Yes.", 0.1, 0.4), Word("I", 0.5, 0.6), Word("do.", 0.7, 1.25))
        return [Hypothesis("Yes. I do.", 10, words, "en") for _ in due]


def noise(seconds: float, rate: int = HEARING_RATE) -> Pcm:
    return np.random.default_rng(1).integers(-3000, 3000, int(seconds * rate)).astype(np.int16)


def file(pcm: Pcm, name: str = "speech.wav", rate: int = HEARING_RATE, **how: str) -> tuple[str, bytes]:
    content = io.BytesIO()
    soundfile.write(content, pcm, rate, **({"format": "WAV"} | how))
    return name, content.getvalue()


SPEECH = file(BEST_OF_TIMES.pcm)


async def transcribe(client: AsyncOpenAI, upload: tuple[str, bytes] = SPEECH, **more: object):
    return await client.audio.transcriptions.create(model="whisper-1", file=upload, **more)


async def test_what_was_said_in_a_file(client: AsyncOpenAI) -> None:
    heard = await transcribe(client)
    assert (heard.text, heard.usage.seconds) == (HEARD[0], 6)


class TestWhatIsHeard:
    """The fake says how many seconds it heard."""

    @pytest.fixture
    def engines(self) -> Engines:
        return fakes(speech_to_text=Listening(FakeRecogniser()))

    @pytest.mark.parametrize(
        ("rate", "how"),
        [
            (8_000, {"format": "WAV"}),
            (44_100, {"format": "WAV", "subtype": "FLOAT"}),
            (22_050, {"format": "FLAC"}),
            (48_000, {"format": "OGG", "subtype": "OPUS"}),
            (24_000, {"format": "OGG", "subtype": "VORBIS"}),
            (44_100, {"format": "MP3"}),
        ],
    )
    async def test_files_of_many_kinds(self, rate: int, how: dict[str, str], client: AsyncOpenAI) -> None:
        stereo = np.stack([noise(2.0, rate)] * 2, axis=1) / 32768
        heard = await transcribe(client, file(stereo, "speech", rate, **how))
        assert float(heard.text.split()[1]) == pytest.approx(2.0, abs=0.06)

    async def test_a_long_file_is_heard_in_pieces_with_their_times(self, client: AsyncOpenAI) -> None:
        pcm = noise(65.0)
        pcm[27 * HEARING_RATE : 28 * HEARING_RATE] = 0
        heard = await transcribe(client, file(pcm), response_format="verbose_json")
        first, second, third = heard.segments
        assert 27.0 < first.end < 28.0
        assert (second.start, third.start, third.end) == (first.end, second.end, 65.0)
        assert heard.text == " ".join(segment.text for segment in heard.segments)

    @pytest.mark.parametrize(("settings", "code"), [({"http.max_audio_s": 1.5}, "audio_too_long")])
    async def test_no_longer_than_allowed(self, settings: dict[str, object], code: str, connect: Connect) -> None:
        with pytest.raises(BadRequestError) as refused:
            await transcribe(connect(**settings), file(noise(1.6)))
        assert refused.value.code == code
        assert (await transcribe(connect(**settings), file(noise(1.4)))).text

    async def test_no_larger_than_allowed(self, connect: Connect) -> None:
        client = connect(**{"http.max_upload_bytes": 60_000})
        for seconds in (2.0, 20.0):
            with pytest.raises(APIStatusError) as refused:
                await transcribe(client, file(noise(seconds)))
            assert refused.value.status_code == 413
        assert (await transcribe(client, file(noise(1.5)))).text


class TestAnEngineWithWordTimes:
    @pytest.fixture
    def engines(self) -> Engines:
        return fakes(speech_to_text=Listening(HearsWords()))

    async def test_tells_words_and_sentences(self, client: AsyncOpenAI) -> None:
        heard = await transcribe(client, response_format="verbose_json", timestamp_granularities=["word", "segment"])
        assert [(word.word, word.start, word.end) for word in heard.words] == [("Yes.", 0.1, 0.4), ("I", 0.5, 0.6), ("do.", 0.7, 1.25)]
        assert [(part.text, part.start, part.end) for part in heard.segments] == [("Yes.", 0.1, 0.4), ("I do.", 0.5, 1.25)]
        assert heard.language == "en"

    async def test_subtitles_have_their_times(self, client: AsyncOpenAI) -> None:
        cue = "00:00:00{0}500 --> 00:00:01{0}250\nI do.\n\n"
        assert (await transcribe(client, response_format="srt")).endswith("2\n" + cue.format(","))
        vtt = await transcribe(client, response_format="vtt")
        assert vtt.startswith("WEBVTT\n\n00:00:00.100")
        assert vtt.endswith(cue.format("."))


async def test_subtitles_without_word_times_are_one_cue(client: AsyncOpenAI) -> None:
    assert await transcribe(client, response_format="srt") == f"1\n00:00:00,000 --> 00:00:05,450\n{HEARD[0]}\n\n"


async def test_plain_text(client: AsyncOpenAI) -> None:
    assert await transcribe(client, response_format="text") == HEARD[0] + "\n"


async def test_a_stream_grows_to_the_whole(client: AsyncOpenAI) -> None:
    events = [event async for event in await transcribe(client, stream=True)]
    assert {event.type for event in events[:-1]} == {"transcript.text.delta"}
    assert events[-1].type == "transcript.text.done"
    assert "".join(event.delta for event in events[:-1]) == events[-1].text == HEARD[0]


class TestAStreamOfPieces:
    @pytest.fixture
    def engines(self) -> Engines:
        return fakes(speech_to_text=Listening(FakeRecogniser(("One.", "Two.", RuntimeError("out of memory")))))

    async def test_is_joined_with_spaces_and_ends_with_an_error_where_one_fails(self, client: AsyncOpenAI) -> None:
        deltas = []
        with pytest.raises(APIError, match="out of memory"):
            async for event in await transcribe(client, file(noise(80.0)), stream=True):
                deltas.append(event.delta)
        assert "".join(deltas) == "One. Two."


async def test_hints_reach_the_engine(connect: Connect, engines: Engines) -> None:
    await transcribe(connect(), language="de", prompt="Zug")
    hints = engines.speech_to_text._recogniser.hints[0]
    assert (hints.language, hints.prompt) == ("de", "Zug")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"upload": ("a.wav", b"no audio at all")}, "invalid_audio"),
        ({"upload": ("a.wav", b"")}, "invalid_audio"),
        ({"upload": file(noise(0.0))}, "audio_too_short"),
        ({"upload": file(noise(1.0, 1000), rate=1000)}, "invalid_audio"),
        ({"upload": file(np.zeros((100, 9), np.int16))}, "invalid_audio"),
        ({"response_format": "diarized_json"}, "invalid_value"),
    ],
)
async def test_what_cannot_be_done_is_said(wrong: dict[str, object], code: str, client: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        await transcribe(client, **wrong)
    assert refused.value.code == code


def test_pieces_joined_are_the_audio() -> None:
    pcm = noise(100.0)
    cut = list(pieces(pcm))
    assert np.array_equal(np.concatenate(cut), pcm)
    assert max(len(piece) for piece in cut) <= LONGEST_S * HEARING_RATE
