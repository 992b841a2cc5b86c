"""Figures to Ray, whose agent on each node shows them to Prometheus; their names begin with `ray_` there."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from serve_app.engines import Due, Hints, Hypothesis, Recogniser, known_languages
from serve_app.measures import STEP_SECONDS, STREAMS_IN_STEP, Kind, Measure, Sink

PERIOD_S = 1.0
"""How often gauges are set. Ray's agent forgets one that is not, after twice the time in which Ray reports (20 s by default)."""

Gauges = Mapping[Measure, Callable[[], float | None]]
"""What each shows now; None: nothing is known, and nothing is shown."""


class RaySink:
    """A `Sink` of one replica. It may be used from any of its threads."""

    def __init__(self, measures: Iterable[Measure]) -> None:
        """`measures`: all that it will be given. Their counters are there from now on, with 0."""
        self._made = {measure: _made(measure) for measure in measures}
        for measure, made in self._made.items():
            if measure.kind is Kind.COUNTER:
                for value in measure.values:
                    made._record(0.0, _tags(measure, value))  # inc() refuses 0 (Ray 2.60), and what was never counted is not shown

    def count(self, measure: Measure, value: float = 1.0, of: str = "") -> None:
        if value > 0:
            self._made[measure].inc(value, _tags(measure, of))

    def observe(self, measure: Measure, value: float, of: str = "") -> None:
        self._made[measure].observe(value, _tags(measure, of))

    def set(self, measure: Measure, value: float) -> None:
        self._made[measure].set(value)


def _made(measure: Measure) -> Any:
    from ray.serve import metrics

    labels = (measure.label,) if measure.label else None
    match measure.kind:
        case Kind.COUNTER:
            return metrics.Counter(measure.name, measure.help, labels)
        case Kind.GAUGE:
            return metrics.Gauge(measure.name, measure.help, labels)
        case Kind.HISTOGRAM:
            return metrics.Histogram(measure.name, measure.help, list(measure.buckets), labels)


def _tags(measure: Measure, of: str) -> dict[str, str] | None:
    return {measure.label: of} if measure.label else None


def shown(sink: Sink, gauges: Gauges) -> asyncio.Task[None]:
    """Keeps the gauges at what they show; the caller keeps the task."""
    return asyncio.get_running_loop().create_task(_show(sink, gauges))


async def _show(sink: Sink, gauges: Gauges) -> None:
    while True:
        for measure, read in gauges.items():
            if (value := read()) is not None:
                sink.set(measure, value)
        await asyncio.sleep(PERIOD_S)


class CountedRecogniser:
    """A recogniser whose steps are counted."""

    def __init__(self, recogniser: Recogniser, sink: Sink) -> None:
        self._recogniser = recogniser
        self._sink = sink
        self.step_samples = recogniser.step_samples

    @property
    def languages(self) -> tuple[str, ...] | None:
        return known_languages(self._recogniser)

    async def warm(self) -> None:
        await self._recogniser.warm()
        self.step_samples = self._recogniser.step_samples

    def begin(self, hints: Hints) -> Any:
        return self._recogniser.begin(hints)

    def fork(self, stream: Any) -> Any:
        return self._recogniser.fork(stream)

    def step(self, due: Sequence[Due]) -> Sequence[Hypothesis | Exception]:
        began = time.monotonic()
        answers = self._recogniser.step(due)
        self._sink.observe(STEP_SECONDS, time.monotonic() - began)
        self._sink.observe(STREAMS_IN_STEP, len(due))
        return answers
