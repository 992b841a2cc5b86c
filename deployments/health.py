"""What Serve asks a replica every few seconds: an error replaces the replica."""

from typing import Any


async def check(engine: Any) -> None:
    """Passes on to an engine that can tell: `async def check(self) -> None`, which raises when it will not work again."""
    if hasattr(engine, "check"):
        await engine.check()
