"""The server's own page in Chromium, unchanged; it hears through a microphone that the test speaks into."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By

from serve_app.engines import ToolCall
from tests.clients import script
from tests.clients.node_client import lacks
from tests.clients.script import Seen, Stage, ToolRound, Utterance
from tests.clients.tls import missing, tls_before
from tests.web.browser import CHROMEDRIVER, CHROMIUM, SPOKEN_MICROPHONE, Page, page_at

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (CHROMIUM.exists() and CHROMEDRIVER.exists()), reason="the browser tests need Debian's packages chromium and chromium-driver"
    ),
]

ASKS_FOR_TIME = Utterance("what_time_is_it.wav", "What time is it?")
INTERRUPTED = ".assistant[data-state='interrupted']"


@pytest.fixture
def tool_round() -> ToolRound:
    """With the tool that the page brings."""
    return ToolRound(ASKS_FOR_TIME, ToolCall("", "current_time", "{}"), None)


def test_it_has_a_spoken_turn_a_tool_round_and_an_interruption(stage: Stage, tmp_path: Path) -> None:
    with page_at(stage.url, tmp_path / "profile", patience_s=stage.patience_s, script=SPOKEN_MICROPHONE) as page:
        page.press_talk()
        page.wait(lambda: page.phase == "resting", "the session")
        page.hear(script.QUESTION.path)
        _is_quiet(page, 1)
        first_answer_bytes = _bytes(page)

        page.tools("Before every answer")
        page.hear(ASKS_FOR_TIME.path)
        _is_quiet(page, 3)

        page.tools("Off")
        heard = _bytes(page)
        page.hear(script.ASKS_FOR_STORY.path)
        page.wait(lambda: _bytes(page) > heard + stage.well_into_bytes, "the story")
        page.hear(script.INTERRUPTION.path)
        _is_quiet(page, 5)
        seen = _seen(page, first_answer_bytes)
    stage.agrees(seen)
    assert seen.results[0].split(",")[0].endswith("day")


def test_it_is_reached_through_tls(tmp_path: Path) -> None:
    if packages := missing():
        lacks(f"needs TLS in front of the server: `apt install {' '.join(packages)}`")
    with script.fake_stage(script.TEMPERATURE) as stage, tls_before(stage.url, tmp_path) as tls:
        with page_at(tls.url, tmp_path / "profile", "--ignore-certificate-errors") as page:
            page.say("What is the capital of France?")
            done = page.wait_for_answers(1)[0]["response"]
            assert done["output"][0]["content"][0]["transcript"] == script.ANSWER
            assert page.complaints == []


def _is_quiet(page: Page, answers: int) -> None:
    """So many responses are done, and their sound has been played."""
    page.wait_for_answers(answers)
    page.wait(lambda: page.phase == "resting", "the end of the playback")


def _bytes(page: Page) -> int:
    return sum(len(base64.b64decode(event["delta"])) for event in page.all_received("response.output_audio.delta"))


def _seen(page: Page, first_answer_bytes: int) -> Seen:
    calls = page.all_received("response.function_call_arguments.done")
    items = [event["item"] for event in page.all_sent("conversation.item.create")]
    troubles: list[Any] = page.all_received("error") + page.complaints
    return Seen(
        endings=[event["response"]["status"] for event in page.all_received("response.done")],
        history=_history(page),
        arguments=[json.loads(call["arguments"]) for call in calls],
        results=[item["output"] for item in items],
        first_answer_bytes=first_answer_bytes,
        interrupted=bool(page.texts(INTERRUPTED)),
        truncated=bool(page.all_received("conversation.item.truncated")),
        errors=troubles,
    )


def _history(page: Page) -> list[tuple[str, str]]:
    """As the page shows it: of an answer, what was heard."""
    rows = page.driver.find_elements(By.CSS_SELECTOR, ".turn.user, .turn.assistant")
    whose = [(row.get_dom_attribute("class").split()[-1], row) for row in rows]
    return [(who, row.find_element(By.CSS_SELECTOR, ".heard").text) for who, row in whose]
