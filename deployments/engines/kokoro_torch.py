"""Text-to-speech by Kokoro-82M (Apache-2.0) in PyTorch, on a GPU or the CPU: the same voices, phonemes and cutting as kokoro-onnx.

One thread runs the model, another makes phonemes, so that a new speech is ready to join the next batch. Pieces that wait at the same time,
of whichever speeches, are said in one batch (batching.py). A piece whose listener left before its batch began is not computed; of one that
is being computed the result is dropped, because a run cannot be stopped.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deployments.engines.batching import Batches
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
    style_row,
    vocabulary,
)
from serve_app import models
from serve_app.engines import Sound, Speech
from serve_app.errors import EngineFailed, EngineGone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from deployments.engines.kokoro_network import KokoroNetwork, Sentence
    from deployments.engines.kokoro_speech import Voiced


@dataclass(eq=False)
class KokoroTorch:
    model: str = "kokoro-82m-torch"
    """An artifact, a hub repository (hexgrad/Kokoro-82M has the full weights) or a folder (serve_app/models.py)."""
    voice_files: str = "kokoro-voices"
    """An artifact or a folder of voices, as kokoro-onnx takes them."""
    device: str = "auto"
    """auto: cuda where PyTorch sees a card, else cpu. Or any name of a device of PyTorch."""
    dtype: str = "float32"
    """float32, bfloat16 or float16; pitch, source and Fourier transforms are float32 always, because their phases add up errors."""
    patch: str = "auto"
    """auto: disable_complex on compute capability 12.x, else none. Or none, disable_complex, real_imag (patches/README.md)."""
    most_together: int | None = None
    """Pieces in one batch. None: 8, but 1 on the CPU, where a batch takes longer than its pieces one after the other
    (load_tests/results/kokoro_batching-cpu.json)."""
    window_ms: float = 3.0
    """How long a piece that finds the model idle waits for others."""
    voices: tuple[str, ...] = field(default=(), init=False)
    sample_rate: int = field(default=RATE, init=False)
    languages: tuple[str, ...] = field(default=LANGUAGES, init=False)
    _words: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "phonemes"), init=False, repr=False)
    _batches: Batches[Sentence, Voiced] | None = field(default=None, init=False, repr=False)
    _loaded: tuple[KokoroNetwork, KokoroVoices] | None = field(default=None, init=False, repr=False)

    async def warm(self) -> None:
        if self._batches is None:
            self._batches = Batches(self._say, 1, self.window_ms / 1000)
            await self._batches.call(self._load)
        async for _ in self.speak(Speech("Ready.", self.voices[0])):
            pass

    async def close(self) -> None:
        """Gives the model's memory back; what still waits is not said. May be called twice."""
        batches, self._batches = self._batches, None
        if batches is not None:
            await batches.close(self._unload)
            self._words.shutdown(wait=False)

    async def check(self) -> None:
        """Raises `EngineGone` when the engine was closed."""
        self._ready()

    async def speak(self, speech: Speech) -> AsyncIterator[Sound]:
        batches, (network, voices) = self._ready()
        style, speed = voices.style(speech.voice), held_speed(speech)
        spoken_s = 0.0
        for piece in await asyncio.get_running_loop().run_in_executor(self._words, pieces_of, speech, network.known):
            sounds = sounds_of(piece)
            voiced = await batches.submit(_sentence(sounds, style_row(style, sounds), speed))
            pcm, words = heard(piece, voiced)
            for sound in in_sounds(pcm, words, spoken_s):
                yield sound
            spoken_s += len(pcm) / RATE

    def known_voices(self) -> tuple[str, ...]:
        """The names of the voices. The engine need not be warm; the files are fetched where they are not here."""
        return KokoroVoices(models.ensure(self.voice_files)).names

    def phonemes(self, speech: Speech) -> str:
        """What the model would be given for it. The engine need not be warm; its files are fetched where they are not here."""
        return phonemes_of(speech, KokoroVoices(models.ensure(self.voice_files)), vocabulary(models.ensure(self.model)))

    def _ready(self) -> tuple[Batches[Sentence, Voiced], tuple[KokoroNetwork, KokoroVoices]]:
        if self._batches is None or self._loaded is None:
            raise EngineGone("Kokoro was not warmed, or was closed")
        return self._batches, self._loaded

    # --- on the thread of the batches ---------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        try:
            from deployments.engines.kokoro_network import KokoroNetwork
        except ImportError as missing:
            raise EngineFailed(f"kokoro-torch needs the extra `kokoro` ({missing})") from missing
        voices = KokoroVoices(models.ensure(self.voice_files))
        network = KokoroNetwork(models.ensure(self.model), self.device, self.dtype, self.patch)
        voices.load_phonemes()
        self._loaded, self.voices = (network, voices), voices.names
        assert self._batches is not None
        self._batches.most = self.most_together or (1 if network.device.type == "cpu" else 8)

    def _say(self, sentences: Sequence[Sentence]) -> list[Voiced]:
        _, (network, _) = self._ready()
        return network.run(sentences)

    def _unload(self) -> None:
        loaded, self._loaded = self._loaded, None
        if loaded is not None and loaded[0].device.type == "cuda":
            import torch

            del loaded
            torch.cuda.empty_cache()


def _sentence(*what: Any) -> Sentence:
    from deployments.engines.kokoro_network import Sentence

    return Sentence(*what)
