"""Text-to-speech by Kokoro-82M (Apache-2.0) through ONNX Runtime, on the CPU.

One thread does the work for all speeches, a piece at a time in the order of asking: two pieces at once would only make the first one late.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from deployments.engines.kokoro_model import KokoroModel
from deployments.engines.kokoro_speech import (
    LANGUAGES,
    RATE,
    KokoroVoices,
    heard,
    held_speed,
    in_sounds,
    phonemes_of,
    pieces_of,
    sounds_of,
    vocabulary,
)
from serve_app import models
from serve_app.engines import Sound, Speech, Word
from serve_app.errors import EngineFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from deployments.engines.kokoro_speech import Floats, Piece
    from serve_app.engines import Pcm

Done = TypeVar("Done")


class KokoroOnnx:
    sample_rate = RATE
    languages = LANGUAGES

    def __init__(self, model: str = "kokoro-82m-int8", voices: str = "kokoro-voices", threads: int = 2) -> None:
        """`model` and `voices`: artifacts or folders (serve_app/models.py); `threads`: inside one run of the model."""
        self.voices: tuple[str, ...] = ()
        self._artifacts = (model, voices)
        self._threads = threads
        self._loaded: tuple[KokoroModel, KokoroVoices] | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="kokoro")

    async def warm(self) -> None:
        if self._loaded is None:
            await self._work(self._load)
        async for _ in self.speak(Speech("Ready.", self.voices[0])):
            pass

    async def speak(self, speech: Speech) -> AsyncIterator[Sound]:
        voice, speed = await self._work(self._voice, speech.voice), held_speed(speech)
        spoken_s = 0.0
        for piece in await self._work(self._pieces, speech):
            pcm, words = await self._work(self._say, piece, voice, speed)
            for sound in in_sounds(pcm, words, spoken_s):
                yield sound
            spoken_s += len(pcm) / RATE

    def known_voices(self) -> tuple[str, ...]:
        """The names of the voices. The engine need not be warm; the files are fetched where they are not here."""
        return KokoroVoices(models.ensure(self._artifacts[1])).names

    def phonemes(self, speech: Speech) -> str:
        """What the model would be given for it. The engine need not be warm; its files are fetched where they are not here."""
        folder, folder_of_voices = (models.ensure(name) for name in self._artifacts)
        return phonemes_of(speech, KokoroVoices(folder_of_voices), vocabulary(folder))

    async def _work(self, function: Callable[..., Done], *arguments: Any) -> Done:
        return await asyncio.get_running_loop().run_in_executor(self._worker, function, *arguments)

    # --- on the worker ----------------------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        folder, folder_of_voices = (models.ensure(name) for name in self._artifacts)
        voices = KokoroVoices(folder_of_voices)
        model = KokoroModel(folder, self._threads)
        voices.load_phonemes()
        self._loaded, self.voices = (model, voices), voices.names

    def _voice(self, name: str) -> Floats:
        if self._loaded is None:
            raise EngineFailed("Kokoro was not warmed")
        return self._loaded[1].style(name)

    def _pieces(self, speech: Speech) -> list[Piece]:
        assert self._loaded is not None
        return pieces_of(speech, self._loaded[0].known)

    def _say(self, piece: Piece, voice: Floats, speed: float) -> tuple[Pcm, tuple[Word, ...]]:
        assert self._loaded is not None
        return heard(piece, self._loaded[0].run(sounds_of(piece), voice, speed))
