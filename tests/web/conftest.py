"""What the browser tests need: a server, and WAV files for the microphone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serve_app.engines import HEARING_RATE, Pcm
from tests.fake_server import serving
from tests.recordings import EVERYTHING


def silence(seconds: float) -> Pcm:
    return np.zeros(int(seconds * HEARING_RATE), np.int16)


@pytest.fixture
def server_url() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture
def microphone(tmp_path: Path) -> Callable[..., Path]:
    """Makes a WAV of a person who waits so many seconds, asks, waits so many seconds, asks, ..."""
    question = EVERYTHING.pcm

    def make(*pauses_s: float) -> Path:
        pieces = [piece for pause_s in pauses_s for piece in (silence(pause_s), question)]
        soundfile.write(tmp_path / "microphone.wav", np.concatenate([*pieces, silence(1.0)]), HEARING_RATE)
        return tmp_path / "microphone.wav"

    return make
