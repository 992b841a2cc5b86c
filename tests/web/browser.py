"""A headless Chromium whose microphone is a WAV file, and a record of every message on its websocket."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.common.exceptions import TimeoutException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

CHROMIUM = Path("/usr/bin/chromium")
CHROMEDRIVER = Path("/usr/bin/chromedriver")

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--window-size=1100,820",
)

ALLOW_MICROPHONE = "--use-fake-ui-for-media-stream"
REFUSE_MICROPHONE = "--deny-permission-prompts"


# A microphone that hears what the test says, when the test says it: `window.says(a WAV in base64)`.
SPOKEN_MICROPHONE = """
navigator.mediaDevices.getUserMedia = async () => {
  const context = new AudioContext({ sampleRate: 24000 });
  const microphone = context.createMediaStreamDestination();
  window.says = async (wav) => {
    const source = context.createBufferSource();
    source.buffer = await context.decodeAudioData(Uint8Array.from(atob(wav), (one) => one.charCodeAt(0)).buffer);
    source.connect(microphone);
    source.start();
  };
  return microphone.stream;
};
"""


class Page:
    def __init__(self, driver: Chrome, patience_s: float) -> None:
        self.driver = driver
        self.patience_s = patience_s
        self.sent: list[dict[str, Any]] = []
        self.received: list[dict[str, Any]] = []
        self.complaints: list[str] = []

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        return [element.text for element in self.driver.find_elements(By.CSS_SELECTOR, selector)]

    def press_talk(self) -> None:
        self.find("#talk").click()

    def say(self, text: str) -> None:
        self.find("#text").send_keys(f"{text}\n")

    def hear(self, wav: Path) -> None:
        """At a page that was opened with `SPOKEN_MICROPHONE`."""
        self.driver.execute_script("window.says(arguments[0])", base64.b64encode(wav.read_bytes()).decode())

    def press_escape(self) -> None:
        self.find("body").send_keys(Keys.ESCAPE)

    def choose(self, selector: str, name: str) -> None:
        Select(self.find(selector)).select_by_visible_text(name)

    def tools(self, name: str) -> None:
        """Opens the panel, chooses, and closes it."""
        opener = self.find("details:has(#tools) summary")
        opener.click()
        self.choose("#tools", name)
        opener.click()

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        try:
            return WebDriverWait(self.driver, self.patience_s, 0.05).until(lambda _: condition())
        except TimeoutException:
            raise AssertionError(f"{what} never came; the page says: {self.status}") from None

    def wait_for_answers(self, number: int) -> list[dict[str, Any]]:
        return self.wait(lambda: self.all_received("response.done")[number - 1 :] and self.all_received("response.done"), "the answer")

    @property
    def status(self) -> str:
        return self.find("#status").text

    @property
    def phase(self) -> str | None:
        return self.find("body").get_dom_attribute("data-phase")

    def all_sent(self, kind: str) -> list[dict[str, Any]]:
        self.collect()
        return [event for event in self.sent if event["type"] == kind]

    def all_received(self, kind: str) -> list[dict[str, Any]]:
        self.collect()
        return [event for event in self.received if event["type"] == kind]

    def collect(self) -> None:
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            ours = {"Network.webSocketFrameSent": self.sent, "Network.webSocketFrameReceived": self.received}.get(message["method"])
            if ours is not None and message["params"]["response"]["opcode"] == 1:
                at = {"at_s": message["params"]["timestamp"]}
                ours.append(json.loads(message["params"]["response"]["payloadData"]) | at)
        self.complaints += [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


@contextmanager
def page_at(url: str, profile: Path, *flags: str, patience_s: float = 60, script: str = "") -> Iterator[Page]:
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={profile}", *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = Chrome(options=options, service=Service(executable_path=str(CHROMEDRIVER)))
    try:
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
        driver.get(url)
        yield Page(driver, patience_s)
    finally:
        driver.quit()
