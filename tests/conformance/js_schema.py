"""The schema of @openai/agents-realtime (zod), asked in one Node process about every message of a run."""

import asyncio
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from tests.conformance.invariants import Event

SCRIPT = Path(__file__).parent / "js_schema.mjs"
MODULES = Path(__file__).parent.parent / "clients" / "node"
"""Where the package is installed (npm ci)."""


def what_is_missing() -> str | None:
    if shutil.which("node") is None:
        return "node is not installed"
    if not (MODULES / "node_modules" / "@openai" / "agents-realtime").exists():
        return f"@openai/agents-realtime is not installed: `npm ci` in {MODULES.name}"
    return None


async def complaints(events: Iterable[Event]) -> dict[int, str]:
    """What does not fit, by the number of the event. Raises RuntimeError when Node fails."""
    pipe = asyncio.subprocess.PIPE
    node = await asyncio.create_subprocess_exec("node", str(SCRIPT), str(MODULES), stdin=pipe, stdout=pipe, stderr=pipe)
    out, err = await node.communicate("".join(json.dumps(event) + "\n" for event in events).encode())
    if node.returncode:
        raise RuntimeError(f"node ended with {node.returncode}: {err.decode()[-500:]}")
    return {one["at"]: one["complaint"] for one in map(json.loads, out.splitlines())}
