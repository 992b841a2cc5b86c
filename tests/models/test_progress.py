import logging

import pytest

from serve_app.progress import LINE_EVERY_S, Lines


def test_without_a_terminal_a_line_comes_every_few_seconds(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    lines = Lines("weights 1.0", lambda: now)
    with caplog.at_level(logging.INFO):
        lines.start(0, 10_000_000)
        lines.advance(2_000_000)
        now = LINE_EVERY_S
        lines.advance(2_000_000)
        lines.advance(2_000_000)
        now = 2 * LINE_EVERY_S
        lines.advance(2_000_000)
    assert caplog.messages == ["weights 1.0: 10.0 MB", "weights 1.0: 4.0 MB of 10.0 MB", "weights 1.0: 8.0 MB of 10.0 MB"]
