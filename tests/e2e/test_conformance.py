"""The conformance checks against the real server, with its real engines."""

import os
from pathlib import Path

import pytest

from tests.conformance import report
from tests.conformance.__main__ import run
from tests.conformance.every import CHECKS
from tests.conformance.suite import Options

pytestmark = pytest.mark.e2e


async def test_the_real_server_keeps_to_the_protocol(real_server: str, tmp_path: Path) -> None:
    """SPARKVOX_CONFORMANCE_REPORT names a file for the report."""
    rows = await run(Options(f"{real_server.replace('http', 'ws', 1)}/v1/realtime"), CHECKS)
    _write(report.as_markdown(rows, "The real engines on the CPU."), tmp_path)
    failed = {row.name: row.why for row in rows if row.outcome == "failed"}
    assert not failed, report.as_text([row for row in rows if row.name in failed])


def _write(text: str, folder: Path) -> None:
    Path(os.environ.get("SPARKVOX_CONFORMANCE_REPORT", folder / "conformance.md")).write_text(text)
