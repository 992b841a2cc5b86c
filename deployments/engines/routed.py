"""Several recognisers behind one: an utterance goes to the one for its language.

A language that is configured decides when the utterance begins. One that is found decides at its end: when the default engine's answer says
that another engine is there for that language, that engine hears the whole utterance before there is a final. Until then the audio is
kept, and the partials of the default engine promise nothing (`stable_chars` 0), for all of them may be of the wrong language.

What it costs: all engines are in one process and one worker thread, so their memory adds up, and a step waits for the steps of all engines
that have something due, one after the other. A final that is heard again takes the time of both. Where that is too much, a second
application with its own default engine is the way.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from serve_app.audio import NO_PCM
from serve_app.engines import Due, Hypothesis, known_languages
from serve_app.errors import EngineFailed, SparkvoxError
from serve_app.languages import primary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from serve_app.engines import Hints, Pcm, Recogniser


@dataclass(eq=False, slots=True)
class Stream:
    hints: Hints
    engine: Recogniser
    inner: Any
    """The engine's own stream."""
    may_move: bool
    """Whether the language is still to be found."""
    waiting: Pcm = field(default_factory=lambda: NO_PCM)
    """What its engine has not been given: it may take longer steps than another."""
    kept: list[Pcm] = field(default_factory=list)
    """All that it was given, while it may move."""
    said: Hypothesis = Hypothesis("")


class RoutedRecogniser:
    def __init__(self, default: Recogniser, routes: Mapping[str, Recogniser]) -> None:
        """`routes`: by language tag; only its primary language counts. An engine may stand in several."""
        self._default = default
        self._routes = {primary(tag): engine for tag, engine in routes.items()}
        self._engines = list(dict.fromkeys([default, *routes.values()]))
        self.step_samples = min((engine.step_samples for engine in self._engines if engine.step_samples), default=0)

    @property
    def languages(self) -> tuple[str, ...] | None:
        """Of the default engine, and of the routes: None where the first knows of none."""
        default = known_languages(self._default)
        return None if default is None else tuple(dict.fromkeys((*default, *self._routes)))

    async def warm(self) -> None:
        for engine in self._engines:
            try:
                await engine.warm()
            except SparkvoxError as error:
                raise EngineFailed(f"{self._names(engine)}: {error}") from error

    async def check(self) -> None:
        for engine in self._engines:
            if hasattr(engine, "check"):
                await engine.check()

    async def close(self) -> None:
        for engine in self._engines:
            if hasattr(engine, "close"):
                await engine.close()

    def begin(self, hints: Hints) -> Stream:
        told = hints.language or (hints.languages[0] if len(hints.languages) == 1 else None)
        engine = self._routes.get(primary(told), self._default) if told else self._default
        return Stream(hints, engine, engine.begin(hints), may_move=told is None and bool(self._routes))

    def fork(self, stream: Stream) -> Stream:
        return replace(stream, inner=stream.engine.fork(stream.inner), kept=list(stream.kept))

    def step(self, due: Sequence[Due]) -> list[Hypothesis | Exception]:
        answers: dict[int, Hypothesis | Exception] = {}
        ready = []
        for number, one in enumerate(due):
            stream: Stream = one.stream
            stream.waiting = np.concatenate((stream.waiting, one.pcm))
            if one.last or 0 < stream.engine.step_samples <= len(stream.waiting):
                ready.append((number, stream, one.last))
            else:
                answers[number] = stream.said
        answers |= self._stepped(ready)
        answers |= self._heard_again([(number, stream, answers[number]) for number, stream, last in ready if last])
        return [answers[number] for number in range(len(due))]

    def _heard_again(self, ended: Sequence[tuple[int, Stream, Hypothesis | Exception]]) -> dict[int, Hypothesis | Exception]:
        failed: dict[int, Hypothesis | Exception] = {}
        moved = []
        for number, stream, answer in ended:
            try:
                if self._move(stream, answer):
                    moved.append((number, stream, True))
            except Exception as error:
                failed[number] = error
        return failed | self._stepped(moved)

    def _stepped(self, ready: Sequence[tuple[int, Stream, bool]]) -> dict[int, Hypothesis | Exception]:
        answers: dict[int, Hypothesis | Exception] = {}
        for engine in self._engines:
            some = [one for one in ready if one[1].engine is engine]
            if not some:
                continue
            for (number, stream, last), answer in zip(some, _heard(engine, some), strict=True):
                answers[number] = _promising_nothing(answer) if stream.may_move and not last else answer
                if isinstance(said := answers[number], Hypothesis):
                    stream.said = said
        return answers

    def _move(self, stream: Stream, answer: Hypothesis | Exception) -> bool:
        """Whether the utterance must be heard again by another engine, which it then is at the next step."""
        if not stream.may_move or isinstance(answer, Exception) or answer.language is None:
            return False
        allowed = {primary(tag) for tag in stream.hints.languages} or {primary(answer.language)}
        engine = self._routes.get(primary(answer.language), self._default)
        if engine is stream.engine or primary(answer.language) not in allowed:
            return False
        stream.engine, stream.may_move = engine, False
        stream.inner = engine.begin(replace(stream.hints, language=primary(answer.language)))
        stream.waiting, stream.kept = np.concatenate(stream.kept), []
        return True

    def _names(self, engine: Recogniser) -> str:
        tags = [tag for tag, routed in self._routes.items() if routed is engine]
        return f"the engine for {', '.join(tags)}" if tags else "the default engine"


def _heard(engine: Recogniser, some: Sequence[tuple[int, Stream, bool]]) -> Sequence[Hypothesis | Exception]:
    """One step of one engine; if that fails as a whole, it fails the streams of this engine alone."""
    due = []
    for _, stream, last in some:
        due.append(Due(stream.inner, stream.waiting, last))
        if stream.may_move:
            stream.kept.append(stream.waiting)
        stream.waiting = NO_PCM
    try:
        answers = list(engine.step(due))
    except Exception as error:
        return [error] * len(due)
    for (_, stream, _), one in zip(some, due, strict=True):
        stream.inner = one.stream
    return answers


def _promising_nothing(answer: Hypothesis | Exception) -> Hypothesis | Exception:
    return replace(answer, stable_chars=0) if isinstance(answer, Hypothesis) else answer
