"""Speech-to-text and text-to-speech of NVIDIA's Riva and its Speech NIMs (Nemotron and Parakeet ASR, Magpie TTS), by gRPC.

The messages are those of `nvidia-riva-client` (MIT), the extra `riva`; the calls go through gRPC's asyncio, so that a stream waits for
nobody and ends when it is cancelled.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import numpy as np

from deployments.engines.endpoint import Timeouts
from deployments.engines.wav_stream import BareSamples
from serve_app.audio import bytes_of_pcm
from serve_app.engines import HEARING_RATE, Hints, Hypothesis, Sound, Speech, Word
from serve_app.errors import EngineFailed, EngineGone, SparkvoxError, UnknownVoice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from serve_app.engines import Pcm

GONE = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"}
SOUNDS_A_SECOND = 10
WARMING_S = 1.0


@dataclass(eq=False)
class _Line:
    """A gRPC channel, and what its failures mean."""

    address: str
    tls: bool
    api_key_env: str
    metadata: dict[str, str]
    timeouts: Timeouts
    _channel: Any = field(default=None, init=False)

    def channel(self) -> Any:
        if self._channel is None:
            import grpc

            credentials = grpc.ssl_channel_credentials()
            secure, plain = grpc.aio.secure_channel, grpc.aio.insecure_channel
            self._channel = secure(self.address, credentials) if self.tls else plain(self.address)
        return self._channel

    def headers(self) -> list[tuple[str, str]]:
        """Raises `EngineFailed` when the key is not set."""
        if not self.api_key_env:
            return list(self.metadata.items())
        if not (key := os.environ.get(self.api_key_env, "")):
            raise EngineFailed(f"the environment variable {self.api_key_env} is not set; it must hold the key for {self.address}")
        return [("authorization", f"Bearer {key}"), *self.metadata.items()]

    async def ready(self) -> None:
        """Raises `TimeoutError`: gRPC itself tries again for ever."""
        async with asyncio.timeout(self.timeouts.connect_s):
            await self.channel().channel_ready()

    async def close(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        import grpc

        try:
            yield
        except SparkvoxError:
            raise
        except TimeoutError as error:
            raise EngineGone(f"Riva at {self.address} does not answer: see that it runs there") from error
        except grpc.aio.AioRpcError as error:
            kind = EngineGone if error.code().name in GONE else EngineFailed
            raise kind(f"Riva at {self.address} answered {error.code().name}: {error.details()}") from error


@dataclass(eq=False)
class RivaTranscriber:
    address: str = "127.0.0.1:50051"
    """Host and port of its gRPC."""
    tls: bool = False
    api_key_env: str = ""
    """The environment variable that holds the key, for hosted models; never the key itself."""
    metadata: dict[str, str] = field(default_factory=dict)
    """More that each call carries: {"function-id": "..."} of a hosted model."""
    model: str = ""
    """Empty: the one that fits the language."""
    language: str = "en-US"
    """Where a session names none."""
    boost: float = 20.0
    """How much a session's keywords are preferred."""
    timeouts: dict[str, float] = field(default_factory=dict)
    """endpoint.Timeouts: connect_s, and first_s from the end of an utterance to its text."""
    _line: _Line = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._line = _Line(self.address, self.tls, self.api_key_env, self.metadata, Timeouts.of(self.timeouts))

    async def warm(self) -> None:
        await self.transcribe(Hints(), _silence(), lambda _: None)

    async def close(self) -> None:
        await self._line.close()

    async def transcribe(self, hints: Hints, audio: AsyncIterator[Pcm], tell: Callable[[Hypothesis], None]) -> Hypothesis:
        from riva.client.proto.riva_asr_pb2_grpc import RivaSpeechRecognitionStub

        heard = _Heard()
        with self._line.translated():
            headers = self._line.headers()
            await self._line.ready()
            async with asyncio.timeout(None) as limit:
                stub = RivaSpeechRecognitionStub(self._line.channel())
                call = stub.StreamingRecognize(self._requests(hints, audio, limit), metadata=headers)
                try:
                    async for response in call:
                        if heard.take(response):
                            tell(heard.hypothesis)
                finally:
                    call.cancel()
        return heard.final

    async def _requests(self, hints: Hints, audio: AsyncIterator[Pcm], limit: asyncio.Timeout) -> AsyncIterator[Any]:
        """The waiting has an end from the end of the audio on."""
        from riva.client.proto import riva_asr_pb2 as asr

        yield asr.StreamingRecognizeRequest(streaming_config=self._config(hints))
        async for pcm in audio:
            if len(pcm):
                yield asr.StreamingRecognizeRequest(audio_content=bytes_of_pcm(pcm))
        limit.reschedule(asyncio.get_running_loop().time() + self._line.timeouts.first_s)

    def _config(self, hints: Hints) -> Any:
        from riva.client.proto import riva_asr_pb2 as asr
        from riva.client.proto.riva_audio_pb2 import AudioEncoding

        config = asr.RecognitionConfig(
            encoding=AudioEncoding.LINEAR_PCM,
            sample_rate_hertz=HEARING_RATE,
            language_code=hints.language or self.language,
            max_alternatives=1,
            audio_channel_count=1,
            enable_automatic_punctuation=True,
            enable_word_time_offsets=True,
            model=self.model,
        )
        if hints.keywords:
            config.speech_contexts.append(asr.SpeechContext(phrases=list(hints.keywords), boost=self.boost))
        return asr.StreamingRecognitionConfig(config=config, interim_results=True)


class _Heard:
    """Pieces that are final, and the one that still changes: Riva ends a piece where it hears a pause."""

    def __init__(self) -> None:
        self._fixed = ""
        self._loose = ""
        self._words: list[Word] = []
        self._language: str | None = None

    def take(self, response: Any) -> bool:
        """Whether there was news."""
        best = [(result, result.alternatives[0]) for result in response.results if result.alternatives]
        self._loose = " ".join(said.transcript.strip() for result, said in best if not result.is_final)
        for said in (said for result, said in best if result.is_final):
            self._fixed = _joined(self._fixed, said.transcript)
            self._words += [Word(word.word, word.start_time / 1000, word.end_time / 1000) for word in said.words]
            self._language = said.language_code or self._language
        return bool(best)

    @property
    def hypothesis(self) -> Hypothesis:
        return Hypothesis(_joined(self._fixed, self._loose), len(self._fixed))

    @property
    def final(self) -> Hypothesis:
        text = _joined(self._fixed, self._loose)
        return Hypothesis(text, len(text), tuple(self._words), self._language)


@dataclass(eq=False)
class RivaSpeech:
    address: str = "127.0.0.1:50051"
    """Host and port of its gRPC."""
    tls: bool = False
    api_key_env: str = ""
    """The environment variable that holds the key, for hosted models; never the key itself."""
    metadata: dict[str, str] = field(default_factory=dict)
    """More that each call carries: {"function-id": "..."} of a hosted model."""
    language: str = "en-US"
    voices: tuple[str, ...] = ()
    """Empty: those that it lists. Riva mixes none."""
    sample_rate: int = 22_050
    """What it is asked for."""
    ssml: bool = False
    """Whether the voice understands prosody tags; without them every speech has speed 1."""
    timeouts: dict[str, float] = field(default_factory=dict)
    """endpoint.Timeouts: connect_s, first_s, between_s."""
    _line: _Line = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.voices = tuple(self.voices.split(",")) if isinstance(self.voices, str) else tuple(self.voices)
        self._line = _Line(self.address, self.tls, self.api_key_env, self.metadata, Timeouts.of(self.timeouts))

    async def warm(self) -> None:
        self.voices = self.voices or await self._listed()
        async for _ in self.speak(Speech("Ready.", self.voices[0])):
            pass

    async def close(self) -> None:
        await self._line.close()

    async def speak(self, speech: Speech) -> AsyncIterator[Sound]:
        if speech.voice not in self.voices:
            unknown = next((name for name in speech.voice.split("+") if name not in self.voices), speech.voice)
            raise UnknownVoice(f"{unknown!r} is not a voice of {self.address}; there are {', '.join(self.voices)}, and none can be mixed")
        if not speech.text.strip():
            return
        samples, step = BareSamples(), self.sample_rate // SOUNDS_A_SECOND
        call = await self._synthesis(speech)
        wait_s = self._line.timeouts.first_s
        try:
            while True:
                with self._line.translated():
                    async with asyncio.timeout(wait_s):
                        if not (response := await call.read()):  # EOF is a falsy object of gRPC's
                            return
                wait_s = self._line.timeouts.between_s
                pcm = samples.feed(response.audio)
                for start in range(0, len(pcm), step):
                    yield Sound(pcm[start : start + step])
        finally:
            call.cancel()

    async def _synthesis(self, speech: Speech) -> Any:
        from riva.client.proto.riva_audio_pb2 import AudioEncoding
        from riva.client.proto.riva_tts_pb2 import SynthesizeSpeechRequest
        from riva.client.proto.riva_tts_pb2_grpc import RivaSpeechSynthesisStub

        request = SynthesizeSpeechRequest(
            text=self._text(speech),
            language_code=self.language,
            encoding=AudioEncoding.LINEAR_PCM,
            sample_rate_hz=self.sample_rate,
            voice_name=speech.voice,
        )
        with self._line.translated():
            headers = self._line.headers()
            await self._line.ready()
            return RivaSpeechSynthesisStub(self._line.channel()).SynthesizeOnline([request], metadata=headers)

    def _text(self, speech: Speech) -> str:
        if not self.ssml or speech.speed == 1.0:
            return speech.text
        return f'<speak><prosody rate="{round(speech.speed * 100)}%">{escape(speech.text)}</prosody></speak>'

    async def _listed(self) -> tuple[str, ...]:
        from riva.client.proto.riva_tts_pb2 import RivaSynthesisConfigRequest
        from riva.client.proto.riva_tts_pb2_grpc import RivaSpeechSynthesisStub

        with self._line.translated():
            headers = self._line.headers()
            await self._line.ready()
            async with asyncio.timeout(self._line.timeouts.first_s):
                stub = RivaSpeechSynthesisStub(self._line.channel())
                answer = await stub.GetRivaSynthesisConfig(RivaSynthesisConfigRequest(), metadata=headers)
        names = tuple(name for model in answer.model_config for name in _voices(model.parameters))
        if not names:
            raise EngineFailed(f"Riva at {self.address} lists no voices: name them with options.voices")
        return names


def _voices(parameters: Any) -> Iterator[str]:
    """`voice_name` is a family, `subvoices` its members with their numbers: "Aria:0,Jason:1"."""
    family = parameters.get("voice_name", "")
    members = [member.partition(":")[0].strip() for member in parameters.get("subvoices", "").split(",") if member.strip()]
    yield from (f"{family}.{member}" for member in members) if members else filter(None, [family])


def _joined(fixed: str, piece: str) -> str:
    return " ".join(filter(None, [fixed, piece.strip()]))


async def _silence() -> AsyncIterator[Pcm]:
    yield np.zeros(int(WARMING_S * HEARING_RATE), np.int16)
