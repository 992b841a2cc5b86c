"""The page in a real browser, whose microphone hears a recorded question, on a real server with real engines."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.e2e.caller import RATE, recording
from tests.web.browser import ALLOW_MICROPHONE, CHROMEDRIVER, CHROMIUM, page_at

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        not (CHROMIUM.exists() and CHROMEDRIVER.exists()), reason="the browser tests need Debian's packages chromium and chromium-driver"
    ),
]


def test_a_question_spoken_to_the_page_is_answered_aloud(real_server: str, tmp_path: Path) -> None:
    silence = np.zeros(2 * RATE, np.int16)
    microphone = tmp_path / "microphone.wav"
    soundfile.write(microphone, np.concatenate((silence, recording("capital_of_france.wav"), silence)), RATE)
    flags = (ALLOW_MICROPHONE, f"--use-file-for-fake-audio-capture={microphone}%noloop")
    with page_at(real_server, tmp_path / "profile", *flags, patience_s=300) as page:
        page.press_talk()
        done = page.wait_for_answers(1)[0]["response"]
        page.wait(lambda: page.texts(".assistant .heard") == [done["output"][0]["content"][0]["transcript"]], "the end of the playback")
        assert "capital of france" in page.texts(".user .words")[0].lower()
        assert "Paris" in page.texts(".assistant .heard")[0]
        assert len(page.texts(".assistant .entry .ms")) == 4
        assert page.complaints == []
