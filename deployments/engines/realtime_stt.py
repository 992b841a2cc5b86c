"""Speech-to-text by the Realtime protocol's transcription: the audio is sent while it is spoken, partials come back.

Each utterance has a socket of its own, opened when it begins, so that the end of one, its failure or its being dropped concerns no other.
A second try is not made: the utterance would have to be heard again from its beginning, while somebody waits.
"""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from deployments.engines.endpoint import Endpoint, Timeouts
from deployments.engines.realtime_dialects import DIALECTS
from serve_app.audio import Resampler, bytes_of_pcm
from serve_app.engines import HEARING_RATE, Hints, Hypothesis
from serve_app.errors import EngineFailed, EngineGone, SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from openai import AsyncOpenAI
    from websockets.asyncio.client import ClientConnection

    from deployments.engines.realtime_dialects import Dialect
    from serve_app.engines import Pcm

SHORTEST_S = 0.1
"""OpenAI commits no less, and no word is so short."""
WARMING_S = 1.0
MAX_MESSAGE_BYTES = 1024 * 1024


@dataclass(eq=False)
class RealtimeTranscriber:
    base_url: str = ""
    """The endpoint's address up to /v1, http or https: the socket is at /realtime below it."""
    model: str = ""
    """As the endpoint names it. Empty: the only one that it serves."""
    dialect: str = "openai"
    """openai, vllm or nim (realtime_dialects.py)."""
    api_key_env: str = ""
    """The environment variable that holds the key, never the key itself."""
    timeouts: dict[str, float] = field(default_factory=dict)
    """endpoint.Timeouts: connect_s until the socket is open, first_s from the end of the utterance to its text."""
    _endpoint: Endpoint = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.dialect not in DIALECTS:
            raise SettingsError(f"there is no dialect {self.dialect!r}; there are {', '.join(DIALECTS)}")
        self._endpoint = Endpoint(self.base_url, self.api_key_env, Timeouts.of(self.timeouts), retries=0)

    async def warm(self) -> None:
        self.model = await self._endpoint.model(self.model)
        await self.transcribe(Hints(), _silence(), lambda _: None)

    async def close(self) -> None:
        await self._endpoint.close()

    async def transcribe(self, hints: Hints, audio: AsyncIterator[Pcm], tell: Callable[[Hypothesis], None]) -> Hypothesis:
        dialect: Dialect = DIALECTS[self.dialect]()
        async with self._socket() as socket:
            for event in dialect.begin(self.model, hints):
                await socket.send(orjson.dumps(event).decode())
            reading = asyncio.create_task(_read(socket, dialect, tell))
            try:
                return await self._heard(socket, dialect, audio, reading)
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def _heard(
        self, socket: ClientConnection, dialect: Dialect, audio: AsyncIterator[Pcm], reading: asyncio.Task[Hypothesis]
    ) -> Hypothesis:
        sent = await _send(socket, dialect, audio, reading)
        if sent < SHORTEST_S * HEARING_RATE and not reading.done():
            return Hypothesis("")
        first_s = self._endpoint.timeouts.first_s
        try:
            async with asyncio.timeout(first_s):
                return await reading
        except TimeoutError as error:
            raise EngineGone(f"{self.base_url} gave no text within {first_s:g} s after the end of the utterance") from error

    @asynccontextmanager
    async def _socket(self) -> AsyncGenerator[ClientConnection, None]:
        from websockets.asyncio.client import connect
        from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

        self._endpoint.require_address()
        url = f"ws{self.base_url.removeprefix('http').rstrip('/')}/realtime?intent=transcription"
        headers = {"Authorization": f"Bearer {key}"} if (key := self._endpoint.key) else {}
        timeouts = self._endpoint.timeouts
        options: dict[str, Any] = {"open_timeout": timeouts.connect_s, "close_timeout": 1.0, "max_size": MAX_MESSAGE_BYTES}
        try:
            async with connect(url, additional_headers=headers, subprotocols=await self._protocols(), **options) as socket:
                yield socket
        except InvalidStatus as error:
            raise EngineFailed(f"{url} answered {error.response.status_code}: it has no transcription there, or wants a key") from error
        except ConnectionClosed as error:
            raise EngineGone(f"{url} ended the connection ({error})") from error
        except TimeoutError as error:
            raise EngineGone(f"{url} did not open within {timeouts.connect_s:g} s") from error
        except (OSError, WebSocketException) as error:
            raise EngineGone(f"the connection to {url} failed ({error}): see that a server answers there") from error

    async def _protocols(self) -> Any:
        """A NIM gives a secret for each session by HTTP, and wants it back as a subprotocol; older ones give none."""
        if self.dialect != "nim":
            return None
        session = await self._endpoint.answer(_session_of_nim)
        secret = (session.get("client_secret") or {}).get("value")
        return ["realtime", f"realtime-token.{secret}"] if secret else None


async def _session_of_nim(client: AsyncOpenAI) -> AsyncGenerator[Any, None]:
    yield await client.post("/realtime/transcription_sessions", body={}, cast_to=object)


async def _send(socket: ClientConnection, dialect: Dialect, audio: AsyncIterator[Pcm], reading: asyncio.Task[Hypothesis]) -> int:
    """All of the audio, then its end; stops when the reader has failed. Gives the samples at `HEARING_RATE`."""
    resampler = Resampler(HEARING_RATE, dialect.rate)
    samples = 0
    async for pcm in audio:
        samples += len(pcm)
        if reading.done():
            return samples
        await _append(socket, dialect, resampler.push(pcm))
    await _append(socket, dialect, resampler.flush())
    if samples >= SHORTEST_S * HEARING_RATE:
        for event in dialect.end():
            await socket.send(orjson.dumps(event).decode())
    return samples


async def _append(socket: ClientConnection, dialect: Dialect, pcm: Pcm) -> None:
    if len(pcm):
        for event in dialect.audio(base64.b64encode(bytes_of_pcm(pcm)).decode()):
            await socket.send(orjson.dumps(event).decode())


async def _read(socket: ClientConnection, dialect: Dialect, tell: Callable[[Hypothesis], None]) -> Hypothesis:
    """Until the utterance has its text. Raises `EngineFailed` when the endpoint refuses it or sends what cannot be read."""
    async for message in socket:
        try:
            before = dialect.text
            dialect.read(orjson.loads(message))
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
            raise EngineFailed(f"the endpoint sent what is no event of its protocol: {error}") from error
        if dialect.final is not None:
            return dialect.final
        if dialect.text != before:
            tell(Hypothesis(dialect.text, dialect.stable_chars))
    raise EngineGone("the endpoint ended the connection before it gave the text")


async def _silence() -> AsyncIterator[Pcm]:
    yield np.zeros(int(WARMING_S * HEARING_RATE), np.int16)
