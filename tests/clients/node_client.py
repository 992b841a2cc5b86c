"""The clients in Node: each script of node/ is an application, which tells at its end what it has seen."""

import asyncio
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients import script
from tests.clients.script import Seen, Stage

HERE = Path(__file__).parent / "node"
INSTALL_S = 300
START_S = 30


@dataclass(frozen=True, slots=True)
class Node:
    program: str
    folder: Path
    """For what is said, as files."""

    async def converses(self, name: str, stage: Stage, url: str | None = None, **environment: str) -> Seen:
        """`url`: another address of the stage's server."""
        command = (self.program, name, json.dumps(self._given(stage, url or stage.url)))
        code, out, complaint = await run(stage.patience_s + START_S, *command, **environment)
        assert (code, complaint) == (0, ""), out
        told = json.loads(out)
        return Seen(**{**told, "history": [(who, said) for who, said in told["history"]]})

    def _given(self, stage: Stage, url: str) -> dict[str, object]:
        utterances = {"question": script.QUESTION, "asks_for_tool": script.ASKS_FOR_TOOL, "asks_for_story": script.ASKS_FOR_STORY}
        files = {}
        for name, utterance in {**utterances, "interruption": script.INTERRUPTION}.items():
            files[name] = str(self.folder / f"{name}.pcm")
            Path(files[name]).write_bytes(utterance.pcm.tobytes())
        return {
            "url": url,
            "speed": stage.speed,
            "wellIntoBytes": stage.well_into_bytes,
            "patienceMs": stage.patience_s * 1000,
            "instructions": script.INSTRUCTIONS,
            "parameters": script.PARAMETERS,
            "result": script.RESULT,
            "utterances": files,
        }


def installed() -> str:
    """The program, with the clients installed. Skips where there is none; where CI is set that is an error."""
    program = shutil.which("node")
    if program is None or shutil.which("npm") is None:
        lacks("the Node clients need node and npm: `apt install nodejs npm`")
    present, locked = HERE / "node_modules" / ".package-lock.json", HERE / "package-lock.json"
    if not present.exists() or present.stat().st_mtime < locked.stat().st_mtime:
        code, _, complaint = asyncio.run(run(INSTALL_S, "npm", "ci", "--no-audit", "--no-fund"))
        assert code == 0, complaint
    assert program is not None
    return program


def lacks(what: str) -> None:
    """Skips; where CI is set it is an error."""
    pytest.fail(what) if os.environ.get("CI") else pytest.skip(what)


async def run(seconds: float, *command: str, **environment: str) -> tuple[int | None, str, str]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=HERE, stdout=pipe, stderr=pipe, env={**os.environ, **environment})
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out.decode(), err.decode()
