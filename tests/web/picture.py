"""Takes the README's picture: python -m tests.web.picture URL MICROPHONE.wav ANSWERS OUT.png

MICROPHONE.wav is what the browser hears; the picture is taken when so many answers are done and their playback has ended.
"""

import sys
import tempfile
from pathlib import Path

from tests.web.browser import ALLOW_MICROPHONE, Page, page_at

SIZE = {"width": 1000, "height": 800, "deviceScaleFactor": 2, "mobile": False}


def take(page: Page, answers: int, out: Path) -> None:
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SIZE)
    page.press_talk()
    page.wait_for_answers(answers)
    page.wait(lambda: page.phase == "resting", "the end of the playback")
    page.driver.save_screenshot(str(out))


def main(url: str, microphone: str, answers: str, out: str) -> None:
    flags = (ALLOW_MICROPHONE, f"--use-file-for-fake-audio-capture={Path(microphone).resolve()}%noloop")
    with tempfile.TemporaryDirectory() as profile, page_at(url, Path(profile), *flags, patience_s=180) as page:
        take(page, int(answers), Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
