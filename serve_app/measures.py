"""Every figure that the server tells of itself, by name; docs/observability.md has the table.

Here are declarations and nothing that counts: what counts is handed a `Sink`. In a deployment that is deployments/metrics.py, which gives
the figures to Ray, which Prometheus asks for them; in a test it is a `Tally`.

Units are the base ones: seconds, bytes, tokens. A figure has one label at most, and the label few values, all known beforehand: counters
exist from the start with 0 for each, so that a rate has a beginning and a share a denominator. Ray adds its own labels (deployment,
replica, application and node).
"""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Measure:
    name: str
    kind: Kind
    help: str
    label: str = ""
    values: tuple[str, ...] = ("",)
    """All that the label can have."""
    buckets: tuple[float, ...] = ()
    """Upper bounds, of a histogram."""


class Sink(Protocol):
    def count(self, measure: Measure, value: float = 1.0, of: str = "") -> None:
        """Adds to a counter. `of`: the label's value."""

    def observe(self, measure: Measure, value: float, of: str = "") -> None:
        """One more of a histogram."""

    def set(self, measure: Measure, value: float) -> None:
        """What a gauge shows from now on."""


class Tally:
    """A `Sink` that keeps the figures here: for tests, and where nobody asks for them."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.seen: dict[tuple[str, str], list[float]] = {}
        self.shown: dict[str, float] = {}

    def count(self, measure: Measure, value: float = 1.0, of: str = "") -> None:
        assert of in measure.values, f"{measure.name} has no {measure.label} {of!r}"
        self.counts[measure.name, of] += value  # type: ignore[assignment]  # typeshed knows whole counts only

    def observe(self, measure: Measure, value: float, of: str = "") -> None:
        assert of in measure.values, f"{measure.name} has no {measure.label} {of!r}"
        self.seen.setdefault((measure.name, of), []).append(value)

    def set(self, measure: Measure, value: float) -> None:
        self.shown[measure.name] = value


class _Nowhere:
    def count(self, measure: Measure, value: float = 1.0, of: str = "") -> None: ...

    def observe(self, measure: Measure, value: float, of: str = "") -> None: ...

    def set(self, measure: Measure, value: float) -> None: ...


NOWHERE: Sink = _Nowhere()


def _counter(name: str, help: str, label: str = "", *values: str) -> Measure:
    return Measure(name, Kind.COUNTER, help, label, values or ("",))


def _histogram(name: str, help: str, buckets: tuple[float, ...], label: str = "", *values: str) -> Measure:
    return Measure(name, Kind.HISTOGRAM, help, label, values or ("",), buckets)


def _gauge(name: str, help: str) -> Measure:
    return Measure(name, Kind.GAUGE, help)


WAITS = (0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0)
"""Seconds that somebody waits: close together where a conversation feels the difference."""
STREAMS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
STEPS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
"""Seconds of one step of a model."""

# --- of sessions, in the gateway --------------------------------------------------------------------------------------------------------

LIVE_SESSIONS = _gauge("sparkvox_live_sessions", "Sessions in this replica of the gateway")
SESSIONS_STARTED = _counter("sparkvox_sessions_started_total", "Sessions that began")
SESSIONS_ENDED = _counter(
    "sparkvox_sessions_ended_total",
    "Sessions that ended: the client left, the session was at its longest, its gateway was taken away, or something else",
    "why", "left", "expired", "replaced", "other",
)  # fmt: skip
TURNS = _counter(
    "sparkvox_turns_total",
    "Responses of the conversation that ended; silent: the utterance held no words; interrupted: by the user's speech; cancelled: by the "
    "client",
    "outcome", "completed", "silent", "interrupted", "cancelled", "incomplete", "failed",
)  # fmt: skip
UNHEARD = _counter("sparkvox_transcriptions_failed_total", "Utterances that speech-to-text failed on")
TOKENS = _counter("sparkvox_tokens_total", "Tokens as billed to clients; cached ones are input too", "kind", "input", "cached", "output")
VOICE_TO_VOICE = _histogram(
    "sparkvox_voice_to_voice_seconds",
    "From the last of the user's speech to the first audio of the answer sent; drafted: begun before the turn was over",
    WAITS, "drafted", "no", "yes",
)  # fmt: skip
STAGE = _histogram(
    "sparkvox_stage_seconds", "What each step of a turn took; those of a drafted answer lie beside each other",
    WAITS, "stage", "endpointing", "transcription", "guess", "first_token", "first_clause", "synthesis", "first_audio",
)  # fmt: skip
DRAFTS = _counter(
    "sparkvox_drafts_total", "Answers begun before their turn was over, and what became of them", "outcome", "released", "discarded"
)
WASTED_TOKENS = _counter("sparkvox_draft_wasted_tokens_total", "Written for drafts that were discarded")
SAVED_SECONDS = _counter(
    "sparkvox_draft_saved_seconds_total", "How much earlier answers came because they were begun before their turn was over"
)
BARGE_INS = _counter(
    "sparkvox_barge_ins_total",
    "Speech over an answer; false_alarm: the answer was held and went on where it was",
    "outcome", "confirmed", "false_alarm",
)  # fmt: skip
REFUSALS = _counter(
    "sparkvox_refusals_total",
    "What was not let in: no place, no place for this key, more audio than allowed, memory short, no place in speech-to-text, wrong key, "
    "a name or another machine that may not",
    "reason", "places", "key_places", "audio", "memory", "engine", "key", "host",
)  # fmt: skip

OF_SESSIONS = (
    LIVE_SESSIONS, SESSIONS_STARTED, SESSIONS_ENDED, TURNS, UNHEARD, TOKENS, VOICE_TO_VOICE, STAGE, DRAFTS, WASTED_TOKENS, SAVED_SECONDS,
    BARGE_INS, REFUSALS,
)  # fmt: skip

# --- of engines, each in its deployment -------------------------------------------------------------------------------------------------

CALLS = _gauge("sparkvox_engine_calls", "What the engine works on now: utterances, replies or clauses")
STREAMS_IN_STEP = _histogram("sparkvox_stt_step_streams", "Utterances in one step of the recogniser", STREAMS)
STEP_SECONDS = _histogram("sparkvox_stt_step_seconds", "What one step of the recogniser took", STEPS)
LEASES = _gauge("sparkvox_stt_leases", "Sessions that speech-to-text hears for")
WAITING_TOKENS = _gauge("sparkvox_llm_waiting_tokens", "About the tokens of the prompts whose answer has not begun")
LOOPS = _counter("sparkvox_llm_loops_total", "Replies that repeated themselves and were ended")

OF_SPEECH_TO_TEXT = (CALLS, STREAMS_IN_STEP, STEP_SECONDS, LEASES)
OF_LANGUAGE_MODEL = (CALLS, WAITING_TOKENS, LOOPS)
OF_TEXT_TO_SPEECH = (CALLS,)

# --- of nodes, in each replica ----------------------------------------------------------------------------------------------------------

AVAILABLE = _gauge("sparkvox_memory_available_bytes", "MemAvailable of this replica's node")
TOTAL = _gauge("sparkvox_memory_total_bytes", "MemTotal of this replica's node")
PRESSURE = _gauge("sparkvox_memory_pressure_level", "0 normal, 1 no new sessions, 2 no drafts, 3 the largest cache, 4 all caches")
PLANNED = _gauge("sparkvox_memory_planned_bytes", "What the memory plan gives this replica of an engine")

OF_NODES = (AVAILABLE, TOTAL, PRESSURE)

MEASURES = tuple(dict.fromkeys((*OF_SESSIONS, *OF_SPEECH_TO_TEXT, *OF_LANGUAGE_MODEL, *OF_TEXT_TO_SPEECH, *OF_NODES, PLANNED)))
