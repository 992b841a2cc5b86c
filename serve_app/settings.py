"""What can be set, read once when the application is built and handed to every part.

A setting is named by its dotted path: `serve run serve_app:graph profile=cpu llm.model=...`, nested or dotted in a Serve configuration
file. A profile is a set of defaults under what the user sets; `auto` takes the one that fits the hardware. Where the user names another
engine than the profile does, the profile's options and model for the engine it had do not apply.
"""

import difflib
import json
import logging
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, field_validator, model_validator

from serve_app.errors import SettingsError

log = logging.getLogger(__name__)

MAX_APPEND_BYTES = 20 * 1024 * 1024
"""15 MiB of audio in base64: the most that the Realtime protocol allows in one append."""


class Profile(StrEnum):
    AUTO = "auto"
    CPU = "cpu"
    SPARK = "spark"
    TINY_SPARK = "tiny-spark"
    FAKE = "fake"


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EngineChoice(Section):
    """Which adapter of deployments/engines, and what its constructor is given."""

    engine: str
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("options")
    @classmethod
    def _as_typed(cls, options: dict[str, Any]) -> dict[str, Any]:
        """The command line gives text only; nothing else says what type an option of an engine has."""
        return _typed(options)


class Placement(EngineChoice):
    """An engine that has a deployment of its own."""

    replicas: int = Field(1, ge=1)
    max_replicas: int | None = Field(None, ge=1)
    """None: always `replicas`; else Serve adds some, up to so many, as they fill."""
    num_cpus: float = Field(ge=0)
    """Logical cores for Ray's placement; nothing is held to them."""
    num_gpus: float = Field(0.0, ge=0)
    max_ongoing: int = Field(64, ge=1)
    """Requests at once in one replica."""
    bundles: tuple[dict[str, float], ...] = ()
    """A placement group for one replica whose engine has parts on several nodes: resources of each part, the replica itself in the
    first. Each part goes to another node."""


class SpeechToTextSettings(Placement):
    max_sessions: int = Field(32, ge=1)
    """Sessions in one replica."""
    partials_at_once: int = Field(64, ge=1)
    """Utterances in one step that brings partials only; small for an engine that takes them one after the other."""
    routes: dict[str, EngineChoice] = Field(default_factory=dict)
    """Other engines by language, `kn: indic-conformer` or `kn: {engine: ..., options: {...}}`: for utterances whose language is configured
    or found to be that one. They are loaded beside the first, in the same replica."""

    @field_validator("routes", mode="before")
    @classmethod
    def _by_name(cls, routes: Any) -> Any:
        if not isinstance(routes, Mapping):
            return routes
        return {tag: {"engine": route} if isinstance(route, str) else route for tag, route in routes.items()}


class LanguageModelSettings(Placement):
    model: str = ""
    """A declared artifact, a folder, or organisation/model of the hub; for a model behind an endpoint its name there. Empty: the engine
    needs none."""
    instructions: str = "You are a voice assistant. Answer in one short sentence."
    """Of a session whose client gives none. The smallest models drift into other languages with longer ones (SmolLM2-135M, tried)."""
    temperature: float | None = Field(None, ge=0, le=2)
    max_tokens: int = Field(512, ge=1)
    """The longest reply, where the client sets none."""


class TextToSpeechSettings(Placement):
    voice: str
    speed: float = Field(1.0, ge=0.25, le=4)


class GatewaySettings(Section):
    replicas: int = Field(1, ge=1)
    num_cpus: float = Field(0.2, ge=0)
    keys_file: Path | None = None
    """Hashes of the keys that open the server, as `sparkvox keys new` writes them; SPARKVOX_API_KEY holds keys too. Where there is one,
    everybody needs one, and other machines may come in."""
    open_to_all: bool = False
    """Without a key: whoever reaches the port may use the server. Else it answers its own machine only."""
    origins: tuple[str, ...] = ()
    """Origins of web pages that may connect, besides the server's own page. `*`: any."""
    max_audio_s_a_minute: float | None = Field(7200.0, gt=0)
    """Audio that one replica takes from all together; more is refused. The default is twice what 60 people can say."""

    @field_validator("origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(value.split(",")) if isinstance(value, str) else value


class LimitSettings(Section):
    """What each key may have in one replica of the gateway; a line of the key file may say otherwise. None: what all together may have."""

    sessions: int | None = Field(None, ge=1)
    """At once; more are refused."""
    requests: int | None = Field(None, ge=1)
    """Of the HTTP API, at once; more are refused with 429."""
    audio_s_a_minute: float | None = Field(3600.0, gt=0)
    """Audio of sessions and files; what is more is not heard."""


class SessionSettings(Section):
    max_s: float = Field(3600.0, gt=0)
    """The longest session; it ends with session_expired."""
    max_sessions: int = Field(32, ge=1)
    """In one replica of the gateway; more are refused."""
    max_message_bytes: int = Field(MAX_APPEND_BYTES + 64 * 1024, ge=64 * 1024)
    """The longest message of a client: an append with its envelope. Longer ones end the connection with 1009."""
    lead_s: float = Field(4.0, gt=0)
    """How far audio may be sent ahead of its playback."""
    unsent_bytes: int = Field(8 * 1024 * 1024, ge=64 * 1024)
    """How much may wait for a client that does not read; with more its session ends."""
    stalled_s: float = Field(60.0, gt=0)
    """How long a client may not read while something waits for it."""
    eager_sessions: int = Field(8, ge=0)
    """Answers are begun in the pause, before the turn is confirmed, while so many sessions or fewer are live in this replica of the
    gateway: work that may be thrown away must not make others wait. 0: never."""
    kept_audio_bytes: int = Field(8 * 1024 * 1024, ge=0)
    """Of the sound of one session's items, for clients that retrieve them."""


class HttpSettings(Section):
    """Of speech, transcriptions and chat completions, which are no sessions."""

    max_requests: int = Field(32, ge=1)
    """At once in one replica of the gateway; more are refused with 429."""
    max_upload_bytes: int = Field(25 * 1024 * 1024, ge=1024)
    """The largest file to transcribe (OpenAI's limit)."""
    max_audio_s: float = Field(1800.0, gt=0)
    """The longest audio to transcribe."""


class ModelSettings(Section):
    cache: Path | None = None
    """Where the weights are kept. None: SPARKVOX_CACHE, else the user's cache folder."""
    warm_s: float = Field(900.0, gt=0)
    """How long an engine may take to load."""


class Settings(Section):
    profile: Profile = Profile.AUTO
    """After validation never `auto`."""
    vad: EngineChoice
    turn: EngineChoice
    stt: SpeechToTextSettings
    llm: LanguageModelSettings
    tts: TextToSpeechSettings
    gateway: GatewaySettings = GatewaySettings()
    limits: LimitSettings = LimitSettings()
    session: SessionSettings = SessionSettings()
    http: HttpSettings = HttpSettings()
    models: ModelSettings = ModelSettings()

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """From nested or dotted keys. Raises `SettingsError`."""
        return cls.model_validate(dict(given))

    @model_validator(mode="wrap")
    @classmethod
    def _over_profile(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Here and not in `of`, because Serve itself validates what `serve run` and `serve deploy` were given."""
        if not isinstance(given, Mapping):
            return handler(given)
        user = _nested(given)
        profile = _profile(user.get("profile", Profile.AUTO))
        try:
            return handler(_merged(_DEFAULTS[profile], user) | {"profile": profile})
        except ValidationError as error:
            raise SettingsError(_sentence(error)) from None


def known_settings(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """Every dotted name."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from known_settings(kind, f"{prefix}{name}.")
        else:
            yield prefix + name


def nvidia_gpu_visible() -> bool:
    """Looks for the driver, because importing torch takes seconds. In a container there may be only the device files."""
    return any(Path("/proc/driver/nvidia/gpus").glob("*")) or any(Path("/dev").glob("nvidia[0-9]*"))


def _profile(given: Any) -> Profile:
    try:
        profile = Profile(given)
    except ValueError:
        raise SettingsError(f"profile is {given!r}, but must be one of {', '.join(Profile)}") from None
    return _fitting_profile() if profile is Profile.AUTO else profile


def _fitting_profile() -> Profile:
    if not nvidia_gpu_visible():
        return Profile.CPU
    if Profile.SPARK in _COMPLETE:
        return Profile.SPARK
    log.warning("an NVIDIA GPU is visible, but not all engines of profile spark are part of this version: profile cpu is used")
    return Profile.CPU


def _nested(given: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in given.items():
        *path, last = str(key).split(".")
        at = nested
        for name in path:
            at = at.setdefault(name, {})
            if not isinstance(at, dict):
                raise SettingsError(f"{key} cannot be set: {name} is given as a single value too")
        at[last] = _joined(at.get(last), _nested(value) if isinstance(value, Mapping) else value)
    return nested


def _joined(old: Any, new: Any) -> Any:
    """`llm: {...}` and `llm.model: ...` may both be given."""
    return {**old, **new} if isinstance(old, dict) and isinstance(new, dict) else new


def _merged(defaults: Mapping[str, Any], user: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(defaults)
    if user.get("engine", defaults.get("engine")) != defaults.get("engine"):
        merged.pop("options", None)
        merged.pop("model", None)
    for key, value in user.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _typed(options: dict[str, Any]) -> dict[str, Any]:
    def typed(value: Any) -> Any:
        return _typed(value) if isinstance(value, dict) else _scalar(value) if isinstance(value, str) else value

    return {name: typed(value) for name, value in options.items()}


def _scalar(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _sentence(error: ValidationError) -> str:
    problems = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            problems.append(f"{name} is no setting{_nearest(name)}")
        else:
            problems.append(f"{name}: {problem['msg']} (given: {problem['input']!r})")
    return "; ".join(problems)


def _nearest(name: str) -> str:
    known = list(known_settings())
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    same_end = [candidate for candidate in known if candidate.rpartition(".")[2] == name.rpartition(".")[2]]
    return f"; did you mean {(same_end or near)[0]}?" if same_end or near else ""


# The parts of a profile; what it leaves out has its default above. The logical cores of all deployments together fit a machine with two.
_CPU: dict[str, Any] = {
    "vad": {"engine": "silero"},
    "turn": {"engine": "smart-turn"},
    "stt": {"engine": "moonshine", "num_cpus": 0.3, "partials_at_once": 2},
    "llm": {"engine": "vllm", "model": "smollm2-135m-instruct", "num_cpus": 0.8, "max_ongoing": 64},
    "tts": {"engine": "kokoro-onnx", "voice": "af_heart", "num_cpus": 0.5},
    "session": {"eager_sessions": 1},
}

# Fractions of the one GPU are logical; memory is each engine's to keep. The model: 9 billion parameters as NVFP4, whose card warns that
# keys and values as FP8 ruin it, so they stay as the model has them. Not run on a Spark.
_SPARK: dict[str, Any] = {
    "vad": {"engine": "silero"},
    "turn": {"engine": "smart-turn"},
    "stt": {"engine": "nemo-rnnt", "options": {"model": "nvidia/nemotron-speech-streaming-en-0.6b"}, "num_cpus": 2, "num_gpus": 0.15},
    "llm": {
        "engine": "vllm",
        "model": "ig1/Qwen3.5-9B-NVFP4",
        "options": {
            "max_model_len": 32768,
            "max_num_seqs": 32,
            "kv_cache_bytes": 8 * 1024**3,
            "engine_args": {"language_model_only": True},
        },
        "num_cpus": 2,
        "num_gpus": 0.6,
    },
    "tts": {
        "engine": "kokoro-torch",
        "options": {"model": "hexgrad/Kokoro-82M"},
        "voice": "af_heart",
        "num_cpus": 2,
        "num_gpus": 0.1,
    },
    # The first compilation takes over an hour (N §7 of docs/engines.md's sources); `sparkvox warm` does it beforehand.
    "models": {"warm_s": 7200.0},
}

# The Spark's own engines with small models on the CPU: the code that loads and steps there is run here.
_TINY_SPARK: dict[str, Any] = {
    **_CPU,
    "stt": {"engine": "nemo-rnnt", "options": {"model": "asr-tiny-en", "device": "cpu"}, "num_cpus": 0.3},
    "tts": {"engine": "kokoro-torch", "options": {"device": "cpu"}, "voice": "af_heart", "num_cpus": 0.5},
}

_FAKE: dict[str, Any] = {
    "vad": {"engine": "fake"},
    "turn": {"engine": "fake"},
    "stt": {"engine": "fake", "num_cpus": 0.1},
    "llm": {"engine": "fake", "num_cpus": 0.1},
    "tts": {"engine": "fake", "voice": "af_heart", "num_cpus": 0.1},
    "gateway": {"num_cpus": 0.1},
}

_COMPLETE = {Profile.CPU, Profile.TINY_SPARK, Profile.FAKE}
"""Profiles whose engines all exist; `auto` takes no other. One that is named is tried, and the wiring says what it lacks."""

_DEFAULTS = {Profile.CPU: _CPU, Profile.SPARK: _SPARK, Profile.TINY_SPARK: _TINY_SPARK, Profile.FAKE: _FAKE}
