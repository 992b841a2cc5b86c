"""The official client has recordings transcribed."""

import io

import av
import httpx
import numpy as np
import pytest
import soundfile
from openai import APIError, APIStatusError, AsyncOpenAI, BadRequestError

from deployments.engines.fake import FakeRecogniser
from serve_app.engines import HEARING_RATE, Due, Engines, Hints, Hypothesis, Pcm, Word
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


def spoken(*spans_s: tuple[float, float], of_s: float) -> Pcm:
    """Noise between each two seconds, silence elsewhere."""
    pcm = np.zeros(int(of_s * HEARING_RATE), np.int16)
    for start_s, end_s in spans_s:
        part = slice(int(start_s * HEARING_RATE), int(end_s * HEARING_RATE))
        pcm[part] = noise(of_s)[part]
    return pcm


def recorded(pcm: Pcm, rate: int, form: str, codec: str) -> bytes:
    """By FFmpeg, as phones and browsers do it."""
    content = io.BytesIO()
    with av.open(content, "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = rate
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return content.getvalue()


def pictures() -> bytes:
    """A video without sound."""
    content = io.BytesIO()
    with av.open(content, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        container.mux([*stream.encode(av.VideoFrame(16, 16, "yuv420p")), *stream.encode(None)])
    return content.getvalue()


FRAME_S = 0.04
"""A frame of voice activity, and a little."""
SPEECH = file(BEST_OF_TIMES.pcm)
SPEECH_AT_ONCE = file(noise(1.5))


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
        assert (first.end, second.start) == (pytest.approx(27.0, abs=FRAME_S), pytest.approx(28.0, abs=FRAME_S))
        assert (third.start, third.end) == (second.end, 65.0)
        assert heard.text == " ".join(segment.text for segment in heard.segments)

    async def test_each_stretch_of_speech_has_its_times(self, client: AsyncOpenAI) -> None:
        heard = await transcribe(client, file(spoken((1.0, 2.0), (2.3, 3.0), (4.0, 4.5), of_s=6.0)), response_format="verbose_json")
        times = [time for segment in heard.segments for time in (segment.start, segment.end)]
        assert times == pytest.approx([1.0, 3.0, 4.0, 4.5], abs=FRAME_S)
        assert heard.duration == 6.0

    async def test_silence_is_not_heard(self, client: AsyncOpenAI, engines: Engines) -> None:
        assert (await transcribe(client, file(spoken(of_s=6.0)))).text == ""
        assert engines.speech_to_text._recogniser.hints == []

    @pytest.mark.parametrize(
        ("form", "codec", "rate"), [("mp4", "aac", 44_100), ("webm", "libopus", 48_000), ("adts", "aac", 24_000), ("mpegts", "mp2", 48_000)]
    )
    async def test_what_phones_and_browsers_record(self, form: str, codec: str, rate: int, client: AsyncOpenAI) -> None:
        heard = await transcribe(client, ("speech", recorded(noise(2.0, rate), rate, form, codec)))
        assert float(heard.text.split()[1]) == pytest.approx(2.0, abs=0.15)

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
        heard = await transcribe(client, SPEECH_AT_ONCE, response_format="verbose_json", timestamp_granularities=["word", "segment"])
        assert [(word.word, word.start, word.end) for word in heard.words] == [("Yes.", 0.1, 0.4), ("I", 0.5, 0.6), ("do.", 0.7, 1.25)]
        assert [(part.text, part.start, part.end) for part in heard.segments] == [("Yes.", 0.1, 0.4), ("I do.", 0.5, 1.25)]
        assert heard.language == "en"

    async def test_subtitles_have_their_times(self, client: AsyncOpenAI) -> None:
        cue = "00:00:00{0}500 --> 00:00:01{0}250\nI do.\n\n"
        assert (await transcribe(client, SPEECH_AT_ONCE, response_format="srt")).endswith("2\n" + cue.format(","))
        vtt = await transcribe(client, SPEECH_AT_ONCE, response_format="vtt")
        assert vtt.startswith("WEBVTT\n\n00:00:00.100")
        assert vtt.endswith(cue.format("."))


async def test_subtitles_without_word_times_have_those_of_speech(client: AsyncOpenAI) -> None:
    upload = file(spoken((1.024, 2.048), of_s=3.0))
    assert await transcribe(client, upload, response_format="srt") == f"1\n00:00:01,024 --> 00:00:02,048\n{HEARD[0]}\n\n"


class TestAnEngineWithoutWordTimes:
    async def test_says_so_where_they_alone_are_asked_for(self, client: AsyncOpenAI) -> None:
        with pytest.raises(BadRequestError) as refused:
            await transcribe(client, response_format="verbose_json", timestamp_granularities=["word"])
        assert (refused.value.code, refused.value.param) == ("unsupported_value", "timestamp_granularities")

    async def test_gives_none_beside_its_segments(self, client: AsyncOpenAI) -> None:
        heard = await transcribe(client, response_format="verbose_json", timestamp_granularities=["word", "segment"])
        assert (heard.words, len(heard.segments)) == ([], 1)


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
    client = connect()
    await transcribe(client, language="de", prompt="Zug", keywords=["Bahn", "Bahnsteig"], temperature=0.5, chunking_strategy="auto")
    await transcribe(client, languages=["fr"])
    first, second = engines.speech_to_text._recogniser.hints
    assert first == Hints("de", "Zug", ("Bahn", "Bahnsteig"))
    assert second.language == "fr"


async def test_nothing_is_translated(client: AsyncOpenAI) -> None:
    async with httpx.AsyncClient(base_url=str(client.base_url)) as plain:
        answer = await plain.post("audio/translations", files={"file": SPEECH})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_supported")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"upload": ("a.wav", b"no audio at all")}, "invalid_audio"),
        ({"upload": ("a.wav", b"")}, "invalid_audio"),
        ({"upload": file(noise(0.0))}, "audio_too_short"),
        ({"upload": file(noise(1.0, 1000), rate=1000)}, "invalid_audio"),
        ({"upload": file(np.zeros((100, 9), np.int16))}, "invalid_audio"),
        ({"response_format": "diarized_json"}, "invalid_value"),
        ({"include": ["logprobs"]}, "unsupported_value"),
        ({"temperature": 2}, "invalid_value"),
        ({"upload": ("a.mp4", pictures())}, "invalid_audio"),
    ],
)
async def test_what_cannot_be_done_is_said(wrong: dict[str, object], code: str, client: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        await transcribe(client, **wrong)
    assert refused.value.code == code


async def test_a_list_of_files_of_the_server_is_not_played(client: AsyncOpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BEST_OF_TIMES.path.parent)
    concatenated = f"ffconcat version 1.0\nfile {BEST_OF_TIMES.file}\n".encode()
    with av.open(io.BytesIO(concatenated)) as ffmpeg_would:
        assert ffmpeg_would.streams.audio
    with pytest.raises(BadRequestError) as refused:
        await transcribe(client, ("a.wav", concatenated))
    assert refused.value.code == "invalid_audio"


def test_pieces_joined_are_the_audio() -> None:
    pcm = noise(100.0)
    cut = list(pieces(pcm))
    assert np.array_equal(np.concatenate(cut), pcm)
    assert max(len(piece) for piece in cut) <= LONGEST_S * HEARING_RATE
