"""A deployment as an engine: the Protocols of serve_app/engines.py, so that a session cannot tell where its engines run.

What is asked seldom goes through the Serve handle; what is heard, written and spoken over sockets (lease.py, call_lines.py), whose replicas
are found through it. All calls of the handle go by value, because by reference they cost twice as much. All waiting has an end, because a
cut link makes no error. What Ray raises becomes one of our errors.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ray.exceptions import ActorUnavailableError, RayActorError, RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, ReplicaUnavailableError, RequestCancelledError

from deployments.call_codecs import REPLIES, SPEECHES
from deployments.call_frames import Codec, Offer
from deployments.call_lines import Lines
from deployments.lease import open_ear, within
from serve_app.engines import Ear, Prompt, ReplyPiece, Sound, Speech
from serve_app.errors import EngineBusy, EngineFailed, EngineGone, SparkvoxError

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle

Asked = TypeVar("Asked")
Item = TypeVar("Item")
T = TypeVar("T")

TRIES = 3
"""Of finding a replica of speech-to-text elsewhere; of two it finds the other one with the second at the latest."""
COUNTS_S = 15.0
OFFERS_S = 2.0
"""How long replicas are waited for that are to say where their sockets are. One behind a cut link is asked until Serve gives it up."""


def translated(error: BaseException) -> Exception:
    """One of our errors for whatever a call through a handle raised."""
    if isinstance(error, RayTaskError):
        error = error.cause
    match error:
        case SparkvoxError():
            return error
        case BackPressureError():
            return EngineBusy("all replicas have as much as they take")
        case TimeoutError():
            return EngineGone("a replica does not answer")
        case RayActorError() | ActorUnavailableError() | DeploymentUnavailableError() | ReplicaUnavailableError():
            return EngineGone(f"a replica was lost: {_first_line(error)}")
        case RequestCancelledError():
            return EngineGone("the replica ended the call")
        case RayError():
            return EngineGone(f"the call failed: {_first_line(error)}")
    return EngineFailed(f"{type(error).__name__}: {_first_line(error)}")


async def answer(response: Any, within_s: float) -> Any:
    """The result of a unary call."""
    try:
        return await within(within_s, response)
    except Exception as error:
        raise translated(error) from error


async def in_time(calls: Sequence[Awaitable[T]], within_s: float) -> list[T]:
    """What those answer that do so in time. Raises `EngineGone` where none does, not even with an error."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        done, _ = await asyncio.wait(tasks, timeout=within_s)
    finally:
        for task in tasks:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
    if not done:
        raise EngineGone("a replica does not answer")
    return [one for one in answers if not isinstance(one, BaseException)]


def lines(handle: "DeploymentHandle[Any]", codec: Codec[Asked, Item]) -> Lines[Asked, Item]:
    """Sockets to its replicas. The nearer ones are those on this process's node."""
    import ray

    async def asked(known: tuple[str, ...]) -> list[Any]:
        """Ray 2.60 gives the answers of a broadcast all together or not at all."""
        every: list[Any] = await handle.broadcast("offer", known)._fetch_replica_results_async()
        return every

    async def offers(known: tuple[str, ...]) -> list[Offer]:
        replicas = await answer(asked(known), OFFERS_S)
        return [one for one in await in_time([replica.get_async() for replica in replicas], OFFERS_S) if one is not None]

    return Lines(offers, codec, ray.get_runtime_context().get_node_id())


def near(handle: "DeploymentHandle[Any]") -> "DeploymentHandle[Any]":
    """The same handle, whose calls go to replicas on this node while these take more, so that audio stays on it. To be made so before its
    first call. Ray 2.60 has it for its own proxies only, and warns of the option that users had."""
    handle._init(_prefer_local_routing=True)
    return handle


def elsewhere(handle: "DeploymentHandle[Any]") -> "DeploymentHandle[Any]":
    """Another one of the same deployment, which prefers no node."""
    return type(handle)(handle.deployment_name, handle.app_name)


class RemoteSpeechToText:
    def __init__(self, handle: "DeploymentHandle[Any]", warm_s: float) -> None:
        self._handle = handle.options(_by_reference=False)
        self._stream = handle.options(stream=True, _by_reference=False)
        self._anywhere = elsewhere(handle).options(stream=True, _by_reference=False)
        self._warm_s = warm_s
        self.languages: tuple[str, ...] | None = None

    async def warm(self) -> None:
        self.languages = await answer(self._handle.ready.remote(), self._warm_s)

    async def open(self, session_id: str) -> Ear:
        """On this node, or where there is room: Serve looks at calls, not at sessions, and may choose a full replica more than once."""
        for stream in (self._stream, *[self._anywhere] * TRIES):
            try:
                return await open_ear(stream.lease.remote(session_id), translated)
            except EngineBusy as error:
                busy = error
        raise busy

    async def counts(self) -> dict[str, int]:
        """Of all replicas together; one that has just died holds nothing."""
        answers = await answer(self._handle.broadcast("counts").results_async(return_exceptions=True), COUNTS_S)
        every: list[dict[str, int]] = [one for one in answers if not isinstance(one, BaseException)]
        return {name: sum(counts[name] for counts in every) for name in ("sessions", "utterances")}


class RemoteLanguageModel:
    def __init__(self, handle: "DeploymentHandle[Any]", warm_s: float) -> None:
        self._handle = handle.options(_by_reference=False)
        self._lines = lines(self._handle, REPLIES)
        self._warm_s = warm_s

    async def warm(self) -> None:
        await answer(self._handle.ready.remote(), self._warm_s)
        await self._lines.open()

    def reply(self, prompt: Prompt) -> AsyncIterator[ReplyPiece]:
        return self._lines.call(prompt)

    async def close(self) -> None:
        await self._lines.close()


class RemoteTextToSpeech:
    sample_rate: int
    voices: tuple[str, ...]
    languages: tuple[str, ...] | None

    def __init__(self, handle: "DeploymentHandle[Any]", warm_s: float) -> None:
        self._handle = handle.options(_by_reference=False)
        self._lines = lines(self._handle, SPEECHES)
        self._warm_s = warm_s

    async def warm(self) -> None:
        """Learns the engine's rate, voices and languages: before it there are none."""
        self.sample_rate, self.voices, self.languages = await answer(self._handle.ready.remote(), self._warm_s)
        await self._lines.open()

    def speak(self, speech: Speech) -> AsyncIterator[Sound]:
        return self._lines.call(speech)

    async def close(self) -> None:
        await self._lines.close()


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "no reason given")
