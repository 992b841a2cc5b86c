"""@openai/agents-realtime in Node, unchanged: node/conversation.mjs is the application, here is what it must have seen."""

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.clients import script
from tests.fake_server import serving

HERE = Path(__file__).parent / "node"
PATIENCE_S = 100
INSTALL_S = 300


@pytest.fixture(scope="module")
def node() -> str:
    """The program, with the client installed. Skips where there is none; where CI is set that is an error."""
    program = shutil.which("node")
    if program is None or shutil.which("npm") is None:
        complaint = "the Node client needs node and npm: `apt install nodejs npm`"
        pytest.fail(complaint) if os.environ.get("CI") else pytest.skip(complaint)
    installed, locked = HERE / "node_modules" / ".package-lock.json", HERE / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < locked.stat().st_mtime:
        code, _, complaint = asyncio.run(_run(INSTALL_S, "npm", "ci", "--no-audit", "--no-fund"))
        assert code == 0, complaint
    return program


async def test_it_has_a_spoken_turn_a_tool_round_and_an_interruption(node: str, tmp_path: Path) -> None:
    sentence = tmp_path / "sentence.pcm"
    sentence.write_bytes(script.spoken().tobytes())
    talk = script.Talk()
    with serving(engines=talk.engines) as url:
        address = url.replace("http", "ws", 1) + "v1/realtime?model=gpt-realtime"
        code, out, complaint = await _run(PATIENCE_S, node, "conversation.mjs", address, str(sentence), str(script.WELL_INTO_IT_BYTES))
    seen = [json.loads(line) for line in out.splitlines()]
    assert [one["error"] for one in seen if one["kind"] == "error"] == []
    assert (code, complaint, seen[-1]["kind"]) == (0, "", "end")

    first = seen[: _ends(seen)[0]]
    assert _history(first) == [["user", script.QUESTION], ["assistant", script.ANSWER]]
    assert sum(one["bytes"] for one in first if one["kind"] == "audio") == script.ANSWER_BYTES

    assert [one["city"] for one in seen if one["kind"] == "tool"] == [script.CITY]
    assert [one["result"] for one in seen if one["kind"] == "tool_end"] == [script.RESULT]
    talk.knows_the_result()

    spoken_over = seen[[one["kind"] for one in seen].index("interrupts") :]
    assert "audio_interrupted" in [one["kind"] for one in spoken_over]
    assert [seen[at]["response"]["status"] for at in _ends(seen)] == ["completed", "completed", "cancelled", "completed"]
    *_, (_, cut), interruption, answer = _history(seen)
    assert (interruption, answer) == (["user", script.INTERRUPTION], ["assistant", script.LAST_ANSWER])
    assert 0 < len(cut) < len(script.LONG_ANSWER) and script.LONG_ANSWER.startswith(cut)


def _ends(seen: list[dict[str, Any]]) -> list[int]:
    return [at for at, one in enumerate(seen) if one.get("type") == "response.done"]


def _history(seen: list[dict[str, Any]]) -> list[list[str]]:
    """Who said what, as the client had it last."""
    return [one["said"] for one in seen if one["kind"] == "history"][-1]


async def _run(seconds: float, *command: str) -> tuple[int | None, str, str]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=HERE, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out.decode(), err.decode()
