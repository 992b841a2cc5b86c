"""The rules that hold in every conversation, watched on every message of it. What is broken is kept and told later: one broken rule must
not hide what a check is about, or the other rules."""

import json
from dataclasses import dataclass
from typing import Any, get_args

from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter, ValidationError

from tests.conformance.invariants import LONGEST_MESSAGE, Broken, Event, Invariants, Rule

_SCHEMA: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
_BETA = {"conversation.created", "conversation.item.created"}
"""In the package's union, but not sent by the service any more (recorded conversations)."""
KNOWN = {get_args(model.model_fields["type"].annotation)[0] for model in get_args(get_args(RealtimeServerEvent)[0])} - _BETA


@dataclass(frozen=True, slots=True)
class Breach:
    rule: Rule
    what: str
    at: int
    """Which of the server's messages showed it, from 0."""


class Watch:
    def __init__(self) -> None:
        self.breaches: dict[Rule, Breach] = {}
        """The first of each rule."""
        self._invariants = Invariants()
        self._seen = -1

    @property
    def live(self) -> list[str]:
        return self._invariants.live

    @property
    def unfinished(self) -> list[str]:
        return self._invariants.unfinished

    def see(self, raw: str | bytes) -> Event | None:
        """The message as an event; None for what cannot be one."""
        self._seen += 1
        size = len(raw.encode() if isinstance(raw, str) else raw)
        if size > LONGEST_MESSAGE:
            self._note(Rule.SIZE, f"a message of {size} bytes")
        event = _parsed(raw)
        if event is None:
            self._note(Rule.OPENAI, f"no event: {raw[:200]!r}")
            return None
        self._look_at_shape(event)
        try:
            self._invariants.see(event)
        except Broken as broken:
            self._note(broken.rule, broken.what)
        except (KeyError, ValueError, TypeError, AttributeError) as lacking:
            self._note(Rule.OPENAI, f"{event['type']} lacks what the rules are about: {lacking!r}")
        return event

    def finish(self) -> None:
        try:
            self._invariants.finish()
        except Broken as broken:
            self._note(broken.rule, broken.what)

    def _look_at_shape(self, event: Event) -> None:
        if event["type"] not in KNOWN:
            self._note(Rule.KNOWN, f"an event of type {event['type']!r}")
            return
        try:
            _SCHEMA.validate_python(event, strict=True)
        except ValidationError as error:
            self._note(Rule.OPENAI, f"{event['type']}: {_nearest(error, event['type'])}")

    def _note(self, rule: Rule, what: str) -> None:
        self.breaches.setdefault(rule, Breach(rule, what, self._seen))


def _parsed(raw: str | bytes) -> Event | None:
    try:
        event = json.loads(raw)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("type"), str) else None


def _nearest(error: ValidationError, kind: str) -> str:
    """The complaints of the type that was meant: the union tells those of all its members."""
    problems = error.errors(include_url=False, include_input=False)
    by_model: dict[str, list[str]] = {}
    for problem in problems:
        by_model.setdefault(str(problem["loc"][0]), []).append(f"{'.'.join(map(str, problem['loc'][1:]))}: {problem['msg']}")
    meant = [said for said in by_model.values() if not any(one.startswith("type:") for one in said)]
    return "; ".join(meant[0][:3]) if meant else f"does not fit {kind}"
