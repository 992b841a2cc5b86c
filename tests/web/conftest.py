"""What the browser tests need: a server, and WAV files for the microphone."""

from collections.abc import Callable, Iterator
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.realtime_stub import serving

QUESTION_S = 2.0


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture
def microphone(tmp_path: Path) -> Callable[..., Path]:
    """Makes a WAV of a person who waits so many seconds, asks, waits so many seconds, asks, ..."""
    with as_file(files("moonshine_voice") / "assets" / "clone-test.wav") as path:
        speech, rate = soundfile.read(path, dtype="int16")
    question = speech[: int(QUESTION_S * rate)]

    def make(*pauses_s: float) -> Path:
        pieces = [piece for pause in pauses_s for piece in (np.zeros(int(pause * rate), np.int16), question)]
        soundfile.write(tmp_path / "microphone.wav", np.concatenate([*pieces, np.zeros(rate, np.int16)]), rate)
        return tmp_path / "microphone.wav"

    return make
