"""What is logged, and of whom: lines for people by default, JSON by setting, with the ids of the session, the response and the item that
they are about, and without a word of what was said unless that is wanted.

A replica's log is Serve's: one file for each under `logs/serve` of Ray's session folder. Serve writes its own lines as JSON when it is
told to, with every field that a record has; ours go the same way, so that a file has one format.

Code that works for one session need not name it in each line: `about` says it once, for all that is logged from there on and in the tasks
that are begun there.
"""

import logging
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Literal

from serve_app.section import Section

OURS = ("serve_app", "deployments", "cluster", "patches")
"""Packages, whose modules log under their own names."""
SERVES = "ray.serve"
"""The logger whose handlers write a replica's file."""
FIELDS = "sparkvox_fields"
"""Attribute of a record with what `fields` was given."""

_ABOUT: ContextVar[Mapping[str, str]] = ContextVar("sparkvox_log_about", default={})  # noqa: B039  # never changed, only replaced


class LogSettings(Section):
    format: Literal["text", "json"] = "text"
    """Of the replicas' logs and of Serve's own: lines for people, or one JSON object a line."""
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Of our own lines."""
    transcripts: bool = False
    """Whether what was said and answered stands in the log too."""


def about(**ids: str) -> None:
    """What is logged from here on, in this task and those that it begins, is about these: `session_id`, `response_id`, `item_id`."""
    _ABOUT.set({**_ABOUT.get(), **{name: one for name, one in ids.items() if one}})


def fields(**known: object) -> dict[str, Any]:
    """For `extra=`: what a line tells beside its sentence; None is left out."""
    return {FIELDS: {name: value for name, value in known.items() if value is not None}}


def through_serve(settings: LogSettings) -> None:
    """Our lines go where Serve's go. Called in each replica; without it they reach the file as what was printed, with no level."""
    handler = _ThroughServe(as_json=settings.format == "json")
    for name in OURS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(settings.level)


class _ThroughServe(logging.Handler):
    def __init__(self, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger(SERVES).handle(told(record, self._as_json))


def told(record: logging.LogRecord, as_json: bool) -> logging.LogRecord:
    """The same with what it is about: fields of the record for JSON, `name=value` after the sentence for people."""
    known = {**_ABOUT.get(), **getattr(record, FIELDS, {})}
    plain = {name: value for name, value in record.__dict__.items() if name != FIELDS}
    if as_json:
        return logging.makeLogRecord(plain | {"logger": record.name} | known)
    tail = "".join(f" {name}={value}" for name, value in known.items())
    return logging.makeLogRecord(plain | {"msg": record.getMessage() + tail, "args": ()})
