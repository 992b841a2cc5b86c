"""What came out, as text, as markdown, and as JSON: each check, each rule that always holds, and the trace of what failed."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from tests.conformance import js_schema
from tests.conformance.invariants import Event, Rule
from tests.conformance.line import Line, Traced
from tests.conformance.suite import Result
from tests.conformance.watch import Breach

SHOWN, BEFORE_BREACH = 30, 12
"""Messages of a trace."""
LONGEST_TEXT = 90


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    rule: str
    outcome: str
    why: str = ""
    trace: tuple[str, ...] = ()


def row_of(result: Result) -> Row:
    lines = result.lines if result.outcome == "failed" else ()
    trace = [text for number, line in enumerate(lines, 1) for text in (f"conversation {number}:", *shown(line.trace))]
    return Row(result.check.name, result.check.rule, result.outcome, result.why, tuple(trace))


def rows_of_rules(results: Sequence[Result], js_missing: str | None = None) -> list[Row]:
    """One for each rule that always holds, over all conversations. `js_missing`: why the JavaScript schema was not asked."""
    events = sum(len(line.events) for line in _lines(results))
    rows = []
    for rule in Rule:
        found = [(result, *result.breaches[rule]) for result in results if rule in result.breaches]
        if found:
            rows.append(_broken(rule, found))
        elif rule is Rule.AGENTS_JS and js_missing:
            rows.append(Row(_name(rule), rule, "skipped", js_missing))
        else:
            rows.append(Row(_name(rule), rule, "passed" if events else "skipped", "" if events else "nothing was received"))
    return rows


async def ask_javascript(results: Sequence[Result]) -> str | None:
    """Adds what the JavaScript schema complains about to the lines' breaches. Returns why it could not be asked."""
    if missing := js_schema.what_is_missing():
        return missing
    places = [(line, at) for line in _lines(results) for at in range(len(line.events))]
    for number, complaint in (await js_schema.complaints([line.events[at] for line, at in places])).items():
        line, at = places[number]
        said = f"{line.events[at]['type']}: {complaint}"
        line.watch.breaches.setdefault(Rule.AGENTS_JS, Breach(Rule.AGENTS_JS, said, at))
    return None


def _lines(results: Sequence[Result]) -> list[Line]:
    return list({id(line): line for result in results for line in result.lines}.values())


def _broken(rule: Rule, found: Sequence[tuple[Result, Line, Breach]]) -> Row:
    result, line, breach = found[0]
    where = sorted({one.check.name for one, _, _ in found})
    why = f"{breach.what} (in {len(where)} checks, first in {result.check.name})"
    received = [at for at, traced in enumerate(line.trace) if not traced.sent]
    end = received[breach.at] + 1 if breach.at < len(received) else len(line.trace)
    return Row(_name(rule), rule, "failed", why, tuple(shown(line.trace[:end], BEFORE_BREACH)))


def _name(rule: Rule) -> str:
    return f"always.{rule.name.lower().replace('_', '-')}"


# --- traces -----------------------------------------------------------------------------------------------------------------------------


def shown(trace: Sequence[Traced], most: int = SHOWN) -> list[str]:
    """The end of it; messages of one type that follow each other are counted."""
    texts = []
    for (sent, _), group in groupby(trace, key=lambda one: (one.sent, _repeated(one))):
        several = list(group)
        count = f" (and {len(several) - 1} more)" if len(several) > 1 else ""
        texts.append(f"{several[0].at_s:7.2f} s {'->' if sent else '<-'} {_short(several[0].message)}{count}")
    left_out = len(texts) - most
    return ([f"({left_out} earlier messages)"] if left_out > 0 else []) + texts[-most:]


def _repeated(traced: Traced) -> object:
    kind = traced.message["type"] if isinstance(traced.message, dict) else None
    return kind if isinstance(kind, str) and kind.endswith((".delta", ".append")) else id(traced)


def _short(message: Event | str) -> str:
    return json.dumps(_cut(message), ensure_ascii=False) if isinstance(message, dict) else repr(message[:LONGEST_TEXT])


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _cut(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_cut(one) for one in value[:20]]
    return f"{value[:LONGEST_TEXT]}…" if isinstance(value, str) and len(value) > LONGEST_TEXT else value


# --- forms ------------------------------------------------------------------------------------------------------------------------------

_MARKS = {"passed": "pass", "failed": "**FAIL**", "skipped": "skip"}


def summary(rows: Sequence[Row]) -> str:
    counts = {outcome: sum(row.outcome == outcome for row in rows) for outcome in _MARKS}
    return f"{len(rows)} checks: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items())


def as_text(rows: Sequence[Row]) -> str:
    """A line for each, then the traces of what failed."""
    width = max(len(row.name) for row in rows)
    table = [f"{row.outcome:8} {row.name:{width}}  {row.why}".rstrip() for row in rows]
    return "\n".join([*table, *_failures(rows), "", summary(rows), ""])


def _failures(rows: Sequence[Row]) -> list[str]:
    return [text for row in rows if row.outcome == "failed" for text in ("", f"{row.name}: {row.rule}", f"  {row.why}", *_indented(row))]


def _indented(row: Row) -> list[str]:
    return [f"    {text}" for text in row.trace]


def as_markdown(rows: Sequence[Row], about: str) -> str:
    """A table, then the traces of what failed."""
    table = ["| check | what holds | |", "| --- | --- | --- |"]
    table += [f"| {row.name} | {_cell(row.rule)} | {_MARKS[row.outcome]}{_cell(_remark(row))} |" for row in rows]
    return "\n".join([about, "", f"{summary(rows)}.", "", *table, *(_section(row) for row in rows if row.outcome == "failed")]) + "\n"


def _section(row: Row) -> str:
    return "\n".join(["", f"## {row.name}", "", row.rule, "", row.why, "", "```", *row.trace, "```"])


def _remark(row: Row) -> str:
    return f": {row.why}" if row.why else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def as_json(rows: Sequence[Row], url: str) -> str:
    return json.dumps({"url": url, "summary": summary(rows), "checks": [asdict(row) for row in rows]}, indent=1, ensure_ascii=False)
