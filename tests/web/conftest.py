"""What the browser tests need: a server, and WAV files for the microphone."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.realtime_stub import serving

RATE = 48_000


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    with serving() as url:
        yield url
