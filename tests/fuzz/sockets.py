"""The same clients over a socket: the server of the tests with its routes, its websocket and its own thread, in real time.

What happens follows from the seed only as far as the network lets it."""

import asyncio
import logging
import time
from functools import partial
from random import Random

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from serve_app.connection import Disconnected
from serve_app.session import SessionOptions
from tests.fake_server import serving
from tests.fuzz.fakes import engines
from tests.fuzz.sessions import Bystander, Client, ErrorLog, Failed, Found, Fuzzer, beside

ENDINGS = {"hangs up": 30, "settles": 30, "vanishes": 40}
PACE = 0.05
"""Pauses last so much of what they do in virtual time."""
CLIENTS = 4
ENDS_WITHIN_S = 30.0
"""Only to fail instead of hanging."""


def play_over_a_socket(seed: int, messages: int, found: Found, echo: bool = True) -> None:
    """Raises Failed."""
    dice, log = Random(f"{seed}-socket"), ErrorLog()
    made, model, voice, listening = engines(dice, PACE)
    logging.getLogger().addHandler(log)
    try:
        with serving(max_sessions=2 * CLIENTS, engines=made, session={"echo": echo, "stalled_s": 20.0}) as url:
            address = url.replace("http", "ws", 1) + "v1/realtime"
            asyncio.run(_all(address, f"seed {seed}, over a socket", dice, voice._s_per_character, messages, found))
            until = time.monotonic() + ENDS_WITHIN_S
            while (left := _left(model, voice, listening)) and time.monotonic() < until:
                time.sleep(0.05)
        if left:
            raise Failed(f"seed {seed}, over a socket: work is left: {left}")
    finally:
        logging.getLogger().removeHandler(log)
    if log.records:
        raise Failed("\n".join([f"seed {seed}, over a socket: an error was logged:", *log.records]))


def _left(model: object, voice: object, listening: object) -> dict[str, int]:
    counted = {"replies": model.live, "speeches": voice.live, "sessions": listening.sessions, "utterances": listening.utterances}  # type: ignore[attr-defined]
    return {name: count for name, count in counted.items() if count}


async def _all(address: str, name: str, dice: Random, s_a_letter: float, messages: int, found: Found) -> None:
    most = found.messages + messages

    async def one_after_the_other(number: int) -> None:
        own = Random(f"{name}-{number}")
        while found.messages < most:
            dropped = own.random() < 0.5
            await Fuzzer(f"{name}, client {number}", partial(_relayed, address, dropped), own, found, ENDINGS, PACE).run()

    bystander = Bystander(partial(_relayed, address, False), s_a_letter, found, PACE)
    await beside(bystander, [one_after_the_other(number) for number in range(CLIENTS)])


async def _relayed(address: str, dropped: bool, client: Client, options: SessionOptions) -> None:
    """`dropped`: when the client goes its connection breaks, without a word of goodbye. The server has options of its own."""
    async with connect(address, max_size=None, open_timeout=ENDS_WITHIN_S, close_timeout=ENDS_WITHIN_S) as socket:
        reading = asyncio.create_task(_read(socket, client))
        writing = asyncio.create_task(_write(socket, client))
        await asyncio.wait((reading, writing), return_when=asyncio.FIRST_COMPLETED)
        if dropped and client.gone:
            socket.transport.abort()
        for task in (reading, writing):
            task.cancel()
        await asyncio.gather(reading, writing, return_exceptions=True)
    if not client.gone:
        await client.close(socket.close_code or 1006, socket.close_reason or "")


async def _read(socket: object, client: Client) -> None:
    try:
        async for text in socket:  # type: ignore[attr-defined]
            await client.send(text)
    except (ConnectionClosed, Disconnected):
        return


async def _write(socket: object, client: Client) -> None:
    try:
        while True:
            await socket.send(await client.receive())  # type: ignore[attr-defined]
    except (ConnectionClosed, Disconnected):
        return
