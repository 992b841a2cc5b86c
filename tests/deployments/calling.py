"""Both ends of the sockets over which a gateway calls engines, in one process: `CallServer`s before fake engines, and a list of them in the
place of Serve."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from deployments.call_codecs import REPLIES, SPEECHES
from deployments.call_frames import Codec, Offer
from deployments.call_line import Line, line_to
from deployments.call_lines import Lines
from deployments.call_server import CallServer
from deployments.engines.fake import FakeLanguageModel
from serve_app.engines import ChatMessage, Prompt, ReplyEnd, TextDelta

Server = CallServer[Any, Any]

HELLO = Prompt((ChatMessage("user", "hello there"),))
ECHO = [TextDelta("You"), TextDelta(" said:"), TextDelta(" hello"), TextDelta(" there"), ReplyEnd("stop", 2, 4)]
HERE, THERE = "this node", "another node"


@asynccontextmanager
async def serving(engine: Any = None, room: int = 8, node: str = HERE, codec: Codec[Any, Any] = REPLIES) -> AsyncIterator[Server]:
    engine = FakeLanguageModel() if engine is None else engine
    server = Server(engine.speak if codec is SPEECHES else engine.reply, codec, room)
    await server.start("127.0.0.1", node)
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def lines_to(*servers: Server, codec: Codec[Any, Any] = REPLIES) -> AsyncIterator[Lines[Any, Any]]:
    lines = Lines[Any, Any](offered(*servers), codec, HERE)
    try:
        yield lines
    finally:
        await lines.close()


def offered(*servers: Server) -> Any:
    async def offers(known: tuple[str, ...]) -> list[Offer]:
        return [offer for server in servers if (offer := server.offer(known)) is not None]

    return offers


@asynccontextmanager
async def one_line(server: Server) -> AsyncIterator[Line[Any, Any]]:
    offer = server.offer(())
    assert offer is not None
    line = await line_to(offer, REPLIES)
    try:
        yield line
    finally:
        await line.close()


def held() -> FakeLanguageModel:
    """Every word of it waits for the gate."""
    engine = FakeLanguageModel()
    engine.gate.clear()
    return engine


def value(read: Callable[[], Any]) -> Any:
    async def now() -> Any:
        return read()

    return now


async def all_of(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]
