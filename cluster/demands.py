"""What the settings ask memory for: one demand for each deployment, from the table of footprints."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from cluster import footprints
from cluster.footprints import MIB, Footprint, LanguageWeights
from deployments.engines import ELSEWHERE
from serve_app.engine_settings import EngineChoice, Placement
from serve_app.kept import MOST_BYTES as KEPT_BYTES
from serve_app.profiles import ROLE, Profile
from serve_app.realtime.snapshot import LONGEST_BYTES
from serve_app.settings import GatewaySettings, Settings

TYPICAL_TOKENS = 8192
"""Of a conversation by voice with its instructions: half an hour of talk. The longest context is kept free for one alone."""
USES_GPU = {"vllm", "nemo-rnnt", "nemo-offline", "qwen3-asr", "whisper-torch", "kokoro-torch"}


@dataclass(frozen=True, slots=True)
class Cache:
    """Keys and values of a language model, in bytes on each node that it is on."""

    least: int
    """One reply with the longest context: vLLM does not start with less."""
    wanted: int
    given: int | None = None
    """What the user has set."""


@dataclass(frozen=True, slots=True)
class Demand:
    section: str
    """Of the settings: llm, stt, tts, gateway or session."""
    name: str
    engine: str
    footprint: Footprint
    """Of one replica on one node."""
    cache: Cache | None = None
    gpu: bool = False
    replicas: int = 1
    """At most, where Serve adds some."""
    per_node: int | None = None
    role: str = ""
    parts: int = 1
    """Nodes that one replica is on."""
    fraction: float | None = None
    """Of a GPU, where the user has set it."""

    @property
    def least(self) -> int:
        """Bytes on one node without which it does not start."""
        if self.cache is None:
            return self.footprint.total
        return self.footprint.total + (self.cache.least if self.cache.given is None else self.cache.given)


def demands(settings: Settings, on_disk: int | None = None) -> tuple[Demand, ...]:
    """The largest first, as they are placed. `on_disk`: the size of the language model's files, where they are here."""
    engines = _language_model(settings, on_disk), _speech_to_text(settings), _text_to_speech(settings)
    copies = (_copies(settings),) if settings.session.resume_s else ()
    return tuple(sorted((*engines, _gateway(settings), *copies), key=lambda demand: -demand.least))


def _language_model(settings: Settings, on_disk: int | None) -> Demand:
    llm = settings.llm
    label = " ".join(filter(None, (llm.engine, llm.model)))
    if llm.engine != "vllm":
        return _placed(Demand("llm", "language model", label, _weightless(llm)), llm)
    weights = footprints.language_weights(llm.model, on_disk)
    parts = max(1, len(llm.bundles))
    gpu = uses_gpu(llm, settings)
    working = footprints.VLLM_WORKING if gpu else 200 * MIB
    footprint = Footprint(weights.weights // parts, working, footprints.VLLM_HOST, weights.source)
    demand = Demand("llm", "language model", label, _as_set(llm, footprint), _cache(llm, weights, parts, gpu), gpu, parts=parts)
    return _placed(demand, llm)


def _cache(llm: Placement, weights: LanguageWeights, parts: int, gpu: bool) -> Cache:
    options = llm.options
    given = options.get("kv_cache_bytes")
    if not gpu:
        size = footprints.VLLM_CPU_CACHE if given is None else int(given)
        return Cache(size, size, size)
    longest, replies = int(options.get("max_model_len", 2048)), int(options.get("max_num_seqs", 8))
    eight_bits = str(options.get("engine_args", {}).get("kv_cache_dtype", "")).startswith("fp8")
    token = weights.token // (2 if eight_bits else 1)
    least = (longest * token + weights.sequence) // parts
    wanted = replies * (min(longest, TYPICAL_TOKENS) * token + weights.sequence) // parts
    return Cache(least, max(least, wanted), None if given is None else int(given))


def _speech_to_text(settings: Settings) -> Demand:
    stt = settings.stt
    found = [_found(choice, footprints.SPEECH_TO_TEXT) for choice in (stt, *stt.routes.values())]
    engines = ", ".join(dict.fromkeys((stt.engine, *(route.engine for route in stt.routes.values()))))
    together = Footprint(
        sum(one.weights for one in found),
        sum(one.working for one in found),
        max(one.host for one in found),
        "; ".join(dict.fromkeys(one.source for one in found)),
    )
    return _placed(Demand("stt", "speech-to-text", engines, _as_set(stt, together), gpu=uses_gpu(stt, settings)), stt)


def _text_to_speech(settings: Settings) -> Demand:
    tts = settings.tts
    footprint = _as_set(tts, _found(tts, footprints.TEXT_TO_SPEECH))
    return _placed(Demand("tts", "text-to-speech", tts.engine, footprint, gpu=uses_gpu(tts, settings)), tts)


def _gateway(settings: Settings) -> Demand:
    sessions = settings.session.max_sessions
    alone = footprints.GATEWAY
    source = f"{alone.source}; 16 MiB for each of {sessions} sessions"
    footprint = Footprint(alone.weights, sessions * footprints.SESSION, alone.host, source)
    return _placed(Demand("gateway", "gateway", f"{settings.vad.engine}, {settings.turn.engine}", footprint), settings.gateway)


def _copies(settings: Settings) -> Demand:
    """Of sessions, for clients that come back: each replica has all of them."""
    copies = settings.session.copies
    most = f"{KEPT_BYTES // MIB} MiB of copies at most, each of {LONGEST_BYTES // 1024} KiB at most"
    footprint = replace(footprints.FAKE, working=KEPT_BYTES, source=f"{footprints.FAKE.source}; {most}")
    return Demand("session", "copies of sessions", "", footprint, replicas=copies, per_node=1 if copies > 1 else None)


def uses_gpu(choice: EngineChoice, settings: Settings) -> bool:
    return settings.profile is Profile.SPARK and choice.engine in USES_GPU and choice.options.get("device") != "cpu"


def _placed(demand: Demand, placed: Placement | GatewaySettings) -> Demand:
    most = max(placed.replicas, getattr(placed, "max_replicas", None) or 0)
    fraction = placed.num_gpus if isinstance(placed, Placement) and not placed.bundles else None
    return replace(demand, replicas=most, per_node=placed.max_replicas_per_node, role=placed.prefer.get(ROLE, ""), fraction=fraction)


def _as_set(placement: Placement, footprint: Footprint) -> Footprint:
    """What the user says that a replica takes, in the place of the table."""
    if placement.memory_bytes is None:
        return footprint
    return Footprint(placement.memory_bytes, 0, 0, "set by memory_bytes")


def _found(choice: EngineChoice, table: dict[tuple[str, str], Footprint]) -> Footprint:
    model = str(choice.options.get("model", ""))
    for key in ((choice.engine, model), (choice.engine, "")):
        if key in table:
            return table[key]
    return _weightless(choice)


def _weightless(choice: EngineChoice) -> Footprint:
    if choice.engine == "fake":
        return footprints.FAKE
    return footprints.ENDPOINT if choice.engine in ELSEWHERE else footprints.UNKNOWN


def sources(wanted: tuple[Demand, ...]) -> Iterator[str]:
    """Where each figure comes from."""
    for demand in wanted:
        yield f"{demand.name}: {demand.footprint.source}"
