"""What a line of the log tells, and what it does not."""

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from ray._common.formatters import JSONFormatter

from serve_app import logs
from serve_app.logs import LogSettings
from serve_app.session_log import SessionLog
from tests.session.line import House

WORDS = "What is a pomegranate?"
ANSWER = "A persimmon it is not."


class Kept(logging.Handler):
    """In the place of Serve's: keeps what reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def text(self) -> str:
        return "\n".join(record.getMessage() for record in self.records)

    @property
    def objects(self) -> list[dict[str, Any]]:
        """As Serve writes them."""
        return [json.loads(JSONFormatter().format(record)) for record in self.records]


@pytest.fixture
def kept() -> Iterator[Kept]:
    """Everything is put back: other tests read the loggers of this process."""
    handler, serve = Kept(), logging.getLogger(logs.SERVES)
    ours = [logging.getLogger(name) for name in logs.OURS]
    before = [(logger, logger.handlers, logger.propagate, logger.level) for logger in (*ours, serve)]
    serve.handlers, serve.propagate = [handler], False
    serve.setLevel(logging.DEBUG)
    yield handler
    for logger, handlers, propagate, level in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


async def one_turn(settings: LogSettings) -> None:
    logs.through_serve(settings)
    house = House([WORDS], [ANSWER])
    async with house.session(watch=lambda session_id: SessionLog(session_id, settings.transcripts)) as line:
        line.speaks(1.0, silence_s=1.0)
        await line.gets("response.done")


async def test_lines_for_people_end_with_what_they_are_about(kept: Kept) -> None:
    await one_turn(LogSettings())
    (line,) = [line for line in kept.text.splitlines() if line.startswith("a response has ended")]
    assert " session_id=sess_" in line and " response_id=resp_" in line and " item_id=item_" in line and " outcome=completed" in line


async def test_json_has_a_field_for_each_id_and_the_sentence_without_them(kept: Kept) -> None:
    await one_turn(LogSettings(format="json"))
    (line,) = [one for one in kept.objects if one["message"] == "a response has ended"]
    assert line["session_id"].startswith("sess_") and line["response_id"].startswith("resp_") and line["item_id"].startswith("item_")
    assert line["logger"] == "serve_app.session_log" and line["levelname"] == "INFO"


async def test_a_session_is_told_from_its_beginning_to_its_end(kept: Kept) -> None:
    await one_turn(LogSettings(format="json"))
    told = [one["message"] for one in kept.objects]
    assert told == ["a session begins", "an utterance was heard", "a response has ended", "the client has left", "the session has ended"]
    assert len({one["session_id"] for one in kept.objects}) == 1


@pytest.mark.parametrize("form", ["text", "json"])
async def test_nothing_of_what_was_said_is_logged_by_default(form: Any, kept: Kept) -> None:
    await one_turn(LogSettings(format=form))
    everything = kept.text + json.dumps(kept.objects)
    assert "a response has ended" in everything
    assert "pomegranate" not in everything and "persimmon" not in everything


async def test_both_sides_of_a_turn_are_logged_where_that_is_wanted(kept: Kept) -> None:
    await one_turn(LogSettings(format="json", transcripts=True))
    assert [one["text"] for one in kept.objects if "text" in one] == [WORDS, ANSWER]


async def test_what_is_logged_in_a_task_of_a_session_is_about_it(kept: Kept) -> None:
    logs.through_serve(LogSettings(format="json"))

    async def answers() -> None:
        logs.about(response_id="resp_1")
        logging.getLogger("serve_app.responding").error("it failed")

    async def converses() -> None:
        logs.about(session_id="sess_1")
        await asyncio.create_task(answers())
        logging.getLogger("serve_app.session").error("so it ends")

    await asyncio.create_task(converses())
    logging.getLogger("serve_app.session").error("of nobody")
    ids = [(one.get("session_id"), one.get("response_id")) for one in kept.objects]
    assert ids == [("sess_1", "resp_1"), ("sess_1", None), (None, None)]


async def test_an_error_keeps_its_traceback(kept: Kept) -> None:
    logs.through_serve(LogSettings(format="json"))
    try:
        raise ValueError("nothing there")
    except ValueError:
        logging.getLogger("deployments.stt").exception("a step failed")
    assert "ValueError: nothing there" in kept.objects[0]["exc_text"]


def test_lines_below_the_level_are_not_told(kept: Kept) -> None:
    logs.through_serve(LogSettings(level="WARNING"))
    logging.getLogger("serve_app.session").info("not this")
    logging.getLogger("serve_app.session").warning("but this")
    assert kept.text == "but this"
