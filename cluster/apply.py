"""The memory plan into the settings: what Ray reserves, what vLLM takes, what each replica expects to find. What the user set stays."""

from typing import Any

from cluster.plan import Placed, Plan
from serve_app.engine_settings import Placement
from serve_app.errors import SettingsError
from serve_app.settings import Settings

CUDA_BYTES = int(121.69 * 2**30)
"""What CUDA says that a Spark has in all, of which vLLM's gpu_memory_utilization is a part (seen in reports of two Sparks)."""


def planned(settings: Settings, plan: Plan) -> Settings:
    """Raises `SettingsError` with the arithmetic where it does not fit; a machine without a GPU is its owner's to fill."""
    if not plan.fits and any(node.node.gpu for node in plan.nodes):
        raise SettingsError("; ".join(refusal.why for refusal in plan.refusals))
    sections: dict[str, Any] = {}
    for section in ("stt", "llm", "tts"):
        placement: Placement = getattr(settings, section)
        sections[section] = _placed(placement, plan.of(section))
    return settings.model_copy(update=sections)


def _placed(placement: Placement, placed: Placed) -> Placement:
    update: dict[str, Any] = {"memory_bytes": placed.bytes}
    if placement.bundles:
        update["bundles"] = tuple({"GPU": placed.fraction, **bundle} if placed.demand.gpu else bundle for bundle in placement.bundles)
        update["num_gpus"] = placement.num_gpus or 0.0
    else:
        update["num_gpus"] = placed.fraction
    if placed.demand.gpu and placement.engine == "vllm" and placed.demand.cache is not None:
        update["options"] = _for_vllm(placement, placed)
    return placement.model_copy(update=update)


def _for_vllm(placement: Placement, placed: Placed) -> dict[str, Any]:
    """The cache as bytes, because on unified memory vLLM's own share is no bound (vllm issues 46307, 56824). The share is told all the
    same: vLLM does not start where so much is not free, and its default of 0.92 never is beside speech."""
    options = placement.options
    on_gpu = placed.demand.footprint.weights + placed.demand.footprint.working + placed.cache
    arguments: dict[str, Any] = {"gpu_memory_utilization": round(on_gpu / CUDA_BYTES, 4)}
    environment: dict[str, str] = {}
    if placement.bundles:
        arguments |= {"tensor_parallel_size": len(placement.bundles), "distributed_executor_backend": "ray"}
        environment = {"VLLM_RAY_PER_WORKER_GPUS": str(placement.bundles[0].get("GPU", placed.fraction))}
    return {
        **options,
        "kv_cache_bytes": placed.cache,
        "engine_args": arguments | options.get("engine_args", {}),
        "environment": environment | options.get("environment", {}),
    }
