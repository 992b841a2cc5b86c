"""Text-to-speech as a deployment: sound streams back by value."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from deployments.engines import create
from deployments.health import check
from deployments.proof import speaks
from serve_app.engines import Sound, Speech
from serve_app.settings import TextToSpeechSettings


class TextToSpeech:
    async def __init__(self, settings: TextToSpeechSettings) -> None:  # type: ignore[misc]  # Serve awaits it
        self._engine = create("text_to_speech", settings.engine, **settings.options)
        await self._engine.warm()
        await speaks(self._engine, settings.voice)

    async def speak(self, speech: Speech) -> AsyncIterator[Sound]:
        async with aclosing(self._engine.speak(speech)) as sounds:
            async for sound in sounds:
                yield sound

    async def ready(self) -> tuple[int, tuple[str, ...]]:
        """The engine's sample rate and voices."""
        return self._engine.sample_rate, self._engine.voices

    async def check_health(self) -> None:
        await check(self._engine)
