"""Memory and disk: a machine whose GPU shares the memory does not fail when it is over-committed, it freezes."""

from cluster.doctor.facts import Facts
from cluster.doctor.rules.rule import RAY, UNIFIED, Level, Rule, Unknown, runs

GB = 10**9
ROOM = {"spark": 30 * GB, "tiny-spark": 3 * GB, "cpu": 2 * GB, "fake": 0}
"""Free space wanted, by profile, where weights must be fetched: 10.5 GB of them (N §15), their download, and half a GB of kernels (N §7).
The small ones: README.md."""


def _swap(facts: Facts) -> str | None:
    if facts.memory is None:
        raise Unknown("the memory")
    swap = facts.memory.swap_total
    return f"{swap / GB:.1f} GB of swap are on, {facts.memory.swap_used / GB:.1f} in use" if swap else None


def _monitor(facts: Facts) -> str | None:
    given = facts.ray.environment.get("RAY_memory_monitor_refresh_ms")
    return None if given == "0" else f"Ray's memory monitor is on (RAY_memory_monitor_refresh_ms is {given or 'not set'})"


def _pressure(facts: Facts) -> str | None:
    if facts.memory is None:
        raise Unknown("the memory")
    return None if facts.memory.pressure else "the kernel has no /proc/pressure/memory"


def _vllm(facts: Facts) -> str | None:
    given = facts.chosen.options.get("llm", {}) if facts.chosen else {}
    if "kv_cache_bytes" in given:
        return None
    share = given.get("gpu_memory_utilization")
    return f"vLLM may take {share or 'its default, 0.9,'} of the memory that it takes for the GPU's"


def _plan(facts: Facts) -> str | None:
    if facts.chosen is None:
        raise Unknown("what is to run here")
    return facts.chosen.refusal or None


def _disk(facts: Facts) -> str | None:
    if facts.disk is None or facts.chosen is None:
        raise Unknown("the disk")
    wanted = ROOM.get(facts.chosen.profile, ROOM["spark"]) if facts.chosen.weights_missing else GB
    if facts.disk.free >= wanted or facts.chosen.profile == "fake":
        return None
    missing = f", and {', '.join(facts.chosen.weights_missing)} must be fetched" if facts.chosen.weights_missing else ""
    return f"{facts.disk.free / GB:.1f} GB are free below {facts.disk.cache}{missing}; {wanted / GB:.0f} GB are wanted"


RULES = (
    Rule(
        "swap",
        Level.WRONG,
        _swap,
        why="when GPU and CPU together want more than there is, the machine swaps itself to death instead of ending a process (N §7)",
        mend="sudo swapoff -a, and take the swap line out of /etc/fstab",
        concerns=(UNIFIED,),
    ),
    Rule(
        "Ray's memory monitor",
        Level.WRONG,
        _monitor,
        why="at 95 % of the memory, which here is the GPU's too, Ray kills workers: vLLM while it loads",
        mend="export RAY_memory_monitor_refresh_ms=0 and start Ray again; `sparkvox node` does",
        concerns=(UNIFIED, RAY),
    ),
    Rule(
        "memory pressure",
        Level.LOOK,
        _pressure,
        why="load is shed when the kernel says that work waits for memory; without that, only free memory is looked at",
        mend="boot with psi=1 (/etc/default/grub, GRUB_CMDLINE_LINUX), then sudo update-grub && sudo reboot",
        concerns=(UNIFIED,),
    ),
    Rule(
        "vLLM's memory",
        Level.WRONG,
        _vllm,
        why="a share of the GPU's memory is a share of all memory here, and no upper bound: on a Spark 0.15 was used, not 0.85 (N, end)",
        mend="llm.options.kv_cache_bytes=8589934592; `sparkvox plan` says what fits",
        concerns=(UNIFIED, runs("llm", "vllm")),
    ),
    Rule(
        "memory plan",
        Level.WRONG,
        _plan,
        why="the server does not start with what cannot fit, because the machine would freeze",
        mend="sparkvox plan, with the same settings, and smaller ones",
    ),
    Rule(
        "disk",
        Level.WRONG,
        _disk,
        why="weights and compiled kernels are kept there",
        mend="free some, remove kernels of old versions with `sparkvox warm --clean`, or export SPARKVOX_CACHE=/another/disk",
    ),
)
