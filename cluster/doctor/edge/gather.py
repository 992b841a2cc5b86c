"""All facts of this machine. Takes some ten seconds, more on a GPU: each trial starts a process that imports PyTorch."""

import os
from collections.abc import Iterator
from typing import Any

from cluster.apply import planned
from cluster.doctor.edge import machine, network, packages, trials
from cluster.doctor.facts import Chosen, Facts
from cluster.here import memory_bytes, weights_on_disk
from cluster.plan import plan
from cluster.topology import TOPOLOGIES
from deployments.engines import ENGINES
from serve_app import models, weights
from serve_app.engine_settings import Placement
from serve_app.engines_command import SETTINGS, lacks
from serve_app.errors import SettingsError
from serve_app.profiles import Profile
from serve_app.settings import Settings, nvidia_gpu_visible

ASKED = {
    "stt": ("device", "decoding.cuda_graphs"),
    "tts": ("device", "patch"),
    "llm": ("kv_cache_bytes", "engine_args.gpu_memory_utilization"),
}
"""The options that rules ask about."""


def gather(settings: Settings | None) -> Facts:
    """`settings`: what is to run here, where that is known."""
    gpus = machine.gpus()
    return Facts(
        machine=machine.machine(),
        memory=machine.memory(),
        gpus=gpus,
        gpu_device=nvidia_gpu_visible(),
        packages=packages.packages(),
        torch=trials.torch(),
        nvcc=machine.nvcc(),
        network=network.network(),
        ray=network.ray(),
        clock=machine.clock(),
        disk=machine.disk(),
        chosen=chosen(settings) if settings else None,
        environment=network.without_secrets(os.environ),
        trials=trials.for_every_machine() | (trials.for_a_gpu() if gpus else {}),
        **(_of_the_gpu(gpus[0].capability) if gpus else {}),
    )


def _of_the_gpu(capability: str) -> dict[str, Any]:
    return {"operations": trials.operations(), "nvrtc": trials.nvrtc(), "ptxas": trials.ptxas(capability)}


def chosen(settings: Settings) -> Chosen:
    sections = {setting.split(".")[0]: kind for kind, setting in SETTINGS.items()}
    fitted, refusal = _fitted(settings)
    choices = {section: getattr(fitted, section) for section in sections}
    lacking = {choice.engine: "; ".join(_lacks(sections[section], choice.engine)) for section, choice in choices.items()}
    return Chosen(
        profile=settings.profile,
        engines={section: choice.engine for section, choice in choices.items()},
        lacking={engine: what for engine, what in lacking.items() if what},
        options={section: _asked(choices[section].options, names) for section, names in ASKED.items()},
        weights_missing=tuple(name for name in weights.every(settings) if not models.present(name)),
        refusal=refusal,
        gpu=settings.profile is Profile.SPARK or any(choice.on_gpu for choice in choices.values() if isinstance(choice, Placement)),
        nodes=len(TOPOLOGIES[settings.topology].nodes),
    )


def _fitted(settings: Settings) -> tuple[Settings, str]:
    """What the memory plan makes of the settings, as the wiring does; or why it refuses."""
    try:
        return planned(settings, plan(settings, memory_bytes(), weights_on_disk(settings.llm.model))), ""
    except SettingsError as error:
        return settings, str(error)


def _lacks(kind: str, engine: str) -> Iterator[str]:
    return lacks(ENGINES[kind][engine]) if engine in ENGINES[kind] else iter(["this version does not have it"])


def _asked(options: dict[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in names:
        value: Any = options
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            found[name.rpartition(".")[2]] = str(value)
    return found
