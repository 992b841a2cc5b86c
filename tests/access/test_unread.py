"""What a client costs that never reads: a raw socket with a small buffer, the real server, engines that never end."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from websockets.client import ClientProtocol
from websockets.uri import parse_uri

from deployments.engines.fake import FakeLanguageModel, FakeTextToSpeech
from serve_app import session as session_module
from serve_app.engines import Engines, Sound, Speech
from serve_app.outbox import Outbox
from tests.deployments.conftest import eventually
from tests.fake_server import VOICES, fakes, serving

MIB = 1024 * 1024
UNSENT = MIB
"""How much may wait for a client."""
BIG = "x" * (UNSENT // 4)
IN_FLIGHT = 8 * MIB
"""What the kernel may have taken of what was sent, on a machine with its usual limits (tcp_wmem)."""


class EndlessVoice(FakeTextToSpeech):
    """Speaks as fast as it is listened to, and does not stop."""

    made_bytes = 0

    async def speak(self, speech: Speech) -> AsyncIterator[Sound]:
        while True:
            async for sound in super().speak(speech):
                self.made_bytes += sound.pcm.nbytes
                yield sound


class DeafClient:
    """Sends, and never reads more than that it was let in."""

    def __init__(self, url: str) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.connect((urlsplit(url).hostname, urlsplit(url).port))
        protocol = ClientProtocol(parse_uri(f"{url.replace('http', 'ws', 1)}v1/realtime"))
        protocol.send_request(protocol.connect())
        self._socket.sendall(b"".join(protocol.data_to_send()))
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += self._socket.recv(1)
        assert answer.startswith(b"HTTP/1.1 101 ")

    def says(self, kind: str, **fields: Any) -> None:
        self._socket.sendall(_frame(json.dumps({"type": kind, **fields}).encode()))

    def asks(self, text: str) -> None:
        item = {"id": "item_asked", "type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        self.says("conversation.item.create", item=item)

    def floods(self, kind: str, **fields: Any) -> None:
        """Until the server has had enough of it."""
        self._socket.settimeout(0.5)
        try:
            while True:
                self.says(kind, **fields)
        except (TimeoutError, OSError):
            return

    def close(self) -> None:
        self._socket.close()


def _frame(payload: bytes) -> bytes:
    """A text frame of RFC 6455, masked with nothing."""
    length = len(payload)
    size = bytes([0x80 | length]) if length < 126 else bytes([0x80 | 127]) + length.to_bytes(8)
    return b"\x81" + size + bytes(4) + payload


class Watched:
    """What the server keeps: the fullest that an outbox was, and how far the process grew."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fullest = 0
        self._process = psutil.Process()
        self._before = self._process.memory_info().rss
        self.grown = 0
        monkeypatch.setattr(session_module, "Outbox", self._outbox)

    def look(self) -> None:
        self.grown = max(self.grown, self._process.memory_info().rss - self._before)

    def _outbox(self, *given: Any) -> Outbox:
        watched = self

        class WatchedOutbox(Outbox):
            def _add(self, waiting: Any) -> None:
                super()._add(waiting)
                watched.fullest = max(watched.fullest, sum(one.size for one in self._waiting))

        return WatchedOutbox(*given)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


@contextmanager
def deaf_client(engines: Engines, **settings: Any) -> Iterator[tuple[str, DeafClient]]:
    with serving(engines=engines, **{"session.unsent_bytes": UNSENT, **settings}) as url:
        client = DeafClient(url)
        try:
            yield url, client
        finally:
            client.close()


async def sessions_end(url: str, watched: Watched) -> None:
    async def sessions() -> int:
        watched.look()
        async with httpx.AsyncClient() as http:
            return int((await http.get(f"{url}debug/sessions")).json()["sessions"])

    await eventually(sessions, 0)


async def test_an_answer_without_end_waits_for_its_client_and_ends_with_the_session(watched: Watched) -> None:
    voice = EndlessVoice(VOICES)
    engines = fakes(language_model=FakeLanguageModel(["Once upon a time."]), text_to_speech=voice)
    with deaf_client(engines, **{"session.stalled_s": 1, "session.lead_s": 1e9}) as (url, client):
        client.asks("Tell me a story.")
        client.says("response.create")
        await eventually(lambda: _is(voice.made_bytes > 0), True)
        await sessions_end(url, watched)
        assert voice.live == 0
    assert watched.fullest < UNSENT
    assert voice.made_bytes < IN_FLIGHT
    assert watched.grown < 64 * MIB


async def test_replies_that_nobody_reads_end_the_session_before_they_fill_the_memory(watched: Watched) -> None:
    with deaf_client(fakes(), **{"session.stalled_s": 3600}) as (url, client):
        client.asks(BIG)
        await asyncio.to_thread(client.floods, "conversation.item.retrieve", item_id="item_asked")
        await sessions_end(url, watched)
    assert UNSENT < watched.fullest < UNSENT + 4 * len(BIG)
    assert watched.grown < 64 * MIB


async def _is(value: bool) -> bool:
    return value
