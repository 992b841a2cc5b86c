"""How much may wait for a client that does not read."""

import asyncio

import pytest

from serve_app.outbox import ClientStalled, Outbox

MOST_BYTES = 1000


@pytest.mark.parametrize("character", ["a", "é", "語", "😀"])
async def test_the_bound_counts_bytes_of_any_script(character: str) -> None:
    size = len(character.encode())
    taken: list[str] = []

    async def send(text: str) -> None:
        taken.append(text)

    within, beyond = Outbox(send, MOST_BYTES, 60.0), Outbox(send, MOST_BYTES, 60.0)
    within.put("a")
    within.put(character * (MOST_BYTES // size))
    await within.flush()
    assert len(taken) == 2
    beyond.put("a")
    beyond.put(character * (MOST_BYTES // size + 1))
    with pytest.raises(ClientStalled, match="1000 bytes"):
        await beyond.flush()


async def test_what_comes_while_one_send_waits_counts_too() -> None:
    async def never(text: str) -> None:
        await asyncio.Event().wait()

    outbox = Outbox(never, MOST_BYTES, 3600.0)
    running = asyncio.create_task(outbox.run())
    outbox.put("first")
    await asyncio.sleep(0)
    outbox.put("語" * 334)
    with pytest.raises(ClientStalled):
        async with asyncio.timeout(30):
            await running
