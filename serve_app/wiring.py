"""The application put together: the only module that knows every part.

No `from __future__ import annotations` here: Serve reads the type of `graph`'s parameter to turn `key=value` into settings.
"""

import logging
import os
from typing import Any

from ray import serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy

from cluster.apply import planned
from cluster.here import memory_bytes, weights_on_disk
from cluster.plan import plan
from deployments.engines import ELSEWHERE, ENGINES
from deployments.gateway import Gateway
from deployments.llm import LanguageModel
from deployments.sessions import Sessions
from deployments.stt import SpeechToText
from deployments.tts import TextToSpeech
from serve_app import key_file, weights
from serve_app.cache import CACHE_VARIABLE
from serve_app.engine_settings import Placement
from serve_app.errors import SettingsError
from serve_app.life import REPLACED_S
from serve_app.settings import GatewaySettings, Settings
from serve_app.trace.export import environment

log = logging.getLogger(__name__)

LIFE: dict[str, Any] = {"graceful_shutdown_timeout_s": 10, "health_check_timeout_s": 30, "max_constructor_retry_count": 2}
"""An engine that cannot be loaded will not be at the twentieth try (Serve's default) either."""
CADENCE: dict[str, Any] = {"look_back_period_s": 11.0, "upscale_delay_s": 2.0, "downscale_delay_s": 60.0}
"""Ray 2.60 warns of a shorter period; how often figures are taken and sent in it is said in serving.py."""
QUEUED_TOKENS = 16_384
"""Of prompts that wait for their first token in one replica: some seconds of reading on a Spark."""
SERVICES = {SpeechToText: "speech-to-text", LanguageModel: "language-model", TextToSpeech: "text-to-speech"}
"""What their traces are named."""
SPARE = 16
"""Calls beside the sessions: probes and counts. Serve lets no more in than it is told, and we refuse with a reason before it is reached."""


def graph(settings: Settings) -> Application:
    """What `serve run serve_app:graph key=value` deploys. Fetches the weights that are not here yet.

    Raises `SettingsError`, also where the memory plan does not fit, `ArtifactMissing` or `ArtifactDamaged`.
    """
    _say_without_haproxy()
    _must_exist(settings)
    settings = planned(settings, plan(settings, memory_bytes(), weights_on_disk(settings.llm.model)))
    access = key_file.access(settings, os.environ)
    weights.fetch(settings)
    stt = _deployment(SpeechToText, settings.stt, settings, by_sessions(settings.stt.max_sessions), settings.stt.max_sessions)
    llm = _deployment(LanguageModel, settings.llm, settings, by_work(settings.llm.max_ongoing / 2, QUEUED_TOKENS))
    tts = _deployment(TextToSpeech, settings.tts, settings, by_work(settings.tts.max_ongoing / 2))
    common = settings.memory, settings.logs
    parts = {"stt": stt.bind(settings.stt, *common), "llm": llm.bind(settings.llm, *common), "tts": tts.bind(settings.tts, *common)}
    if settings.session.resume_s:
        parts["sessions"] = _sessions(settings).bind(settings.session.resume_s)
    return _gateway(settings).bind(settings, access, parts)


def _must_exist(settings: Settings) -> None:
    """Here, because a replica that cannot be constructed is tried again and again."""
    chosen = {"voice_activity": settings.vad, "turn_detector": settings.turn, "recogniser": settings.stt}
    chosen |= {"language_model": settings.llm, "text_to_speech": settings.tts}
    every = [*chosen.items(), *(("recogniser", route) for route in settings.stt.routes.values())]
    missing = [f"{kind} engine {choice.engine}" for kind, choice in every if choice.engine not in ENGINES[kind]]
    if missing:
        raise SettingsError(f"profile {settings.profile} cannot run: this version has no {', no '.join(missing)}")
    routed = [settings.stt, *settings.stt.routes.values()] if settings.stt.routes else []
    if elsewhere := [choice.engine for choice in routed if choice.engine in ELSEWHERE]:
        raise SettingsError(f"stt.routes cannot have the engine {elsewhere[0]}: its model runs on another server, not in steps with others")


def _gateway(settings: Settings) -> serve.Deployment:
    return serve.deployment(
        serve.ingress()(Gateway),
        name="Gateway",
        max_ongoing_requests=settings.session.max_sessions * 4 + SPARE,
        ray_actor_options={"num_cpus": settings.gateway.num_cpus, **_where(settings.gateway), **_environment(settings, "gateway")},
        logging_config=_logging(settings),
        **_life(settings),
        **_replicas(settings.gateway, by_sessions(settings.session.max_sessions)),
        **_spread(settings.gateway),
    )


def _sessions(settings: Settings) -> serve.Deployment:
    return serve.deployment(
        Sessions,
        name="Sessions",
        num_replicas=settings.session.copies,
        max_replicas_per_node=1 if settings.session.copies > 1 else None,
        max_ongoing_requests=settings.session.max_sessions * settings.gateway.replicas + SPARE,
        ray_actor_options={"num_cpus": 0, **_variables(environment(settings.tracing, "sparkvox-sessions"))},
        logging_config=_logging(settings),
        **LIFE,
    )


def _logging(settings: Settings) -> dict[str, Any]:
    """No line for each request: a session's frames, probes and counts are not worth one."""
    return {"enable_access_log": False, "encoding": settings.logs.format.upper()}


def _life(settings: Settings) -> dict[str, Any]:
    """Of what holds sessions, or works for replies that may end."""
    return LIFE | {"graceful_shutdown_timeout_s": settings.session.drain_s + REPLACED_S + LIFE["graceful_shutdown_timeout_s"]}


def _deployment(kind: type, placement: Placement, settings: Settings, policy: AutoscalingPolicy, leases: int = 0) -> serve.Deployment:
    """`leases`: calls that last. What else Serve sees is over at once; replies and speeches it does not see."""
    resources = {"num_cpus": placement.num_cpus, "num_gpus": placement.num_gpus or 0.0, **_where(placement)}
    return serve.deployment(
        kind,
        name=kind.__name__,
        max_ongoing_requests=leases + SPARE,
        ray_actor_options={**resources, **_environment(settings, SERVICES[kind])},
        logging_config=_logging(settings),
        **_life(settings),
        **_replicas(placement, policy),
        **_group(placement),
        **_spread(placement),
    )


def _where(placed: Placement | GatewaySettings) -> dict[str, Any]:
    """Labels as a wish: the empty selector of the fallback matches every node (tried, Ray 2.60)."""
    if not placed.prefer or (isinstance(placed, Placement) and placed.bundles):
        return {}
    return {"label_selector": dict(placed.prefer), "fallback_strategy": [{"label_selector": {}}]}


def _spread(placed: Placement | GatewaySettings) -> dict[str, Any]:
    return {} if placed.max_replicas_per_node is None else {"max_replicas_per_node": placed.max_replicas_per_node}


def _group(placement: Placement) -> dict[str, Any]:
    """Serve's own placement group: an engine that makes one for itself is not seen by Serve, which would place others in its room."""
    if not placement.bundles:
        return {}
    labels = {"placement_group_bundle_label_selector": list(placement.bundle_labels)} if placement.bundle_labels else {}
    return {"placement_group_bundles": list(placement.bundles), "placement_group_strategy": "STRICT_SPREAD", **labels}


def _replicas(placed: Placement | GatewaySettings, policy: AutoscalingPolicy) -> dict[str, Any]:
    if placed.max_replicas is None:
        return {"num_replicas": placed.replicas}
    autoscaling = AutoscalingConfig(
        min_replicas=placed.replicas, max_replicas=max(placed.replicas, placed.max_replicas), policy=policy, **CADENCE
    )
    return {"autoscaling_config": autoscaling}


def by_sessions(room: int) -> AutoscalingPolicy:
    return AutoscalingPolicy(policy_function="cluster.scaling:BySessions", policy_kwargs={"room": room})


def by_work(calls: float, tokens: float | None = None) -> AutoscalingPolicy:
    kwargs = {"calls": calls} if tokens is None else {"calls": calls, "tokens": tokens}
    return AutoscalingPolicy(policy_function="cluster.scaling:ByWork", policy_kwargs=kwargs)


def _environment(settings: Settings, service: str) -> dict[str, Any]:
    """Only where something differs: a process with variables of its own cannot be started beforehand, which costs seconds.

    What others do for a gateway is recorded with what it does; nothing that begins there is.
    """
    ratio = settings.tracing.ratio if service == "gateway" else 0.0
    wanted = environment(settings.tracing, f"sparkvox-{service}", ratio)
    if settings.models.cache is not None:
        wanted[CACHE_VARIABLE] = str(settings.models.cache)
    return _variables(wanted)


def _variables(wanted: dict[str, str]) -> dict[str, Any]:
    return {"runtime_env": {"env_vars": wanted}} if wanted else {}


def _say_without_haproxy() -> None:
    if os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") != "1":
        log.warning(
            "this runs behind Serve's own proxy, which delays audio from some tens of sessions on; "
            "`sparkvox serve` starts behind HAProxy, as does RAY_SERVE_ENABLE_HA_PROXY=1 in the environment of Ray"
        )
