"""What can be set, read once when the application is built and handed to every part.

A setting is named by its dotted path: `serve run serve_app:graph profile=cpu llm.model=...`, nested or dotted in a Serve configuration
file. A profile is a set of defaults under what the user sets; `auto` takes the one that fits the hardware. Where the user names another
engine than the profile does, the profile's options and model for the engine it had do not apply; where another model, what the profile
tells the engine of its own (`engine_args`). A topology says how it is spread over
nodes, between the two: over the profile, under the user (serve_app/profiles.py has both).
"""

import importlib.metadata
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, Field, ModelWrapValidatorHandler, ValidationError, field_validator, model_validator

from serve_app.engine_settings import EngineChoice, LanguageModelSettings, SpeechToTextSettings, TextToSpeechSettings
from serve_app.errors import SettingsError
from serve_app.hosts import allowed_name
from serve_app.layers import merged, nested, sentence
from serve_app.logs import LogSettings
from serve_app.profiles import SPARK_PACKAGES, Profile, TopologyName, defaults
from serve_app.section import Section
from serve_app.tracing_settings import TracingSettings

log = logging.getLogger(__name__)

Named = TypeVar("Named", Profile, TopologyName)

MAX_APPEND_BYTES = 20 * 1024 * 1024
"""15 MiB of audio in base64: the most that the Realtime protocol allows in one append."""


def _listed(value: Any) -> Any:
    """The command line gives one text."""
    return tuple(value.split(",")) if isinstance(value, str) else value


class GatewaySettings(Section):
    replicas: int = Field(1, ge=1)
    max_replicas: int | None = Field(None, ge=1)
    num_cpus: float = Field(0.2, ge=0)
    max_replicas_per_node: int | None = Field(None, ge=1)
    prefer: dict[str, str] = Field(default_factory=dict)
    keys_file: Path | None = None
    """Hashes of the keys that open the server, as `sparkvox keys new` writes them; SPARKVOX_API_KEY holds keys too. Where there is one,
    everybody needs one, and other machines may come in."""
    open_to_all: bool = False
    """Without a key: whoever reaches the port may use the server. Else it answers its own machine only."""
    origins: tuple[str, ...] = ()
    """Origins of web pages that may connect, besides the server's own page. `*`: any."""
    hosts: tuple[str, ...] = ()
    """Names by which clients may call the server, besides localhost and the addresses of this machine's loopback: `voice.example.org`,
    `*.example.org`; `*`: any. A server without a key that answers its own machine is held to them always, because a web page can have its
    own name point here; any other server only where some are set, and then addresses of all kinds pass too."""
    max_audio_s_a_minute: float | None = Field(7200.0, gt=0)
    """Audio that one replica takes from all together; more is refused. The default is twice what 60 people can say."""

    _split = field_validator("origins", "hosts", mode="before")(_listed)

    @field_validator("hosts")
    @classmethod
    def _as_compared(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(allowed_name(host) for host in hosts)


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
    barge_in_s: float = Field(0.6, ge=0, le=5)
    """Speech over an answer ends it by its first word that is more than a sign of listening ("mm-hm"), or without one after so long; until
    then no more of the answer is sent. Coughs and signs of listening leave it alone. 0: any speech ends it, at once."""
    longest_turn_s: float = Field(60.0, ge=5)
    """A turn that lasts longer ends at the next gap between words, and what is said goes on as another. Under voice activity detection."""
    echo: bool = True
    """The server knows its own voice when a client's microphone hears its loudspeaker. Costs a client without an echo nothing until its
    user speaks over an answer, and 0.15 s then."""
    unsent_bytes: int = Field(8 * 1024 * 1024, ge=64 * 1024)
    """How much may wait for a client that does not read; with more its session ends."""
    stalled_s: float = Field(60.0, gt=0)
    """How long a client may not read while something waits for it."""
    eager_sessions: int = Field(8, ge=0)
    """Answers are begun in the pause, before the turn is confirmed, while so many sessions or fewer are live in this replica of the
    gateway: work that may be thrown away must not make others wait. 0: never."""
    eager_wait_s: float = Field(0.5, gt=0)
    """And while no engine queues: none has let a session of this replica wait for longer than this, and for much longer than it needs by
    itself, for a transcript, the first piece of a reply or the first sound of an answer (serve_app/engine_queues.py)."""
    kept_audio_bytes: int = Field(8 * 1024 * 1024, ge=0)
    """Of the sound of one session's items, for clients that retrieve them."""
    resume_s: float = Field(60.0, ge=0)
    """How long a client that lost its connection may take to come back to its session. 0: sessions end with their connection."""
    copies: int = Field(1, ge=1)
    """Of what is kept of sessions, each on another node."""
    drain_s: float = Field(30.0, ge=0)
    """How long a session may wait for a quiet moment when its gateway is taken away."""


class HttpSettings(Section):
    """Of speech, transcriptions and chat completions, which are no sessions."""

    max_requests: int = Field(32, ge=1)
    """At once in one replica of the gateway; more are refused with 429."""
    max_upload_bytes: int = Field(25 * 1024 * 1024, ge=1024)
    """The largest file to transcribe (OpenAI's limit)."""
    max_audio_s: float = Field(1800.0, gt=0)
    """The longest audio to transcribe."""


class MemorySettings(Section):
    """Of the nodes: what is checked when engines are loaded, and what is given up when memory runs short (serve_app/pressure.py)."""

    check: bool = True
    """Engines on a GPU are loaded one after the other, and only where the plan's bytes are available."""
    wait_s: float = Field(30.0, ge=0)
    """How long an engine waits for room, which a replica that has just ended may be giving back."""
    guard: bool = True
    """Sessions, then speculation, then caches are given up before the machine stops answering."""
    low_bytes: int | None = Field(None, ge=0)
    """Memory is short with less available. None: 3 % of it, 4 GB at most."""
    stalled: float = Field(0.1, gt=0, le=1)
    """It is short too when all work stood still for it in this part of the last ten seconds."""
    step_s: float = Field(2.0, ge=0)
    """How long one step is given before the next."""
    calm_s: float = Field(10.0, ge=0)
    """How long memory must be easy before a step is taken back."""
    period_s: float = Field(1.0, gt=0)
    ask_s: float = Field(3.0, gt=0)
    """How often a gateway asks how the other nodes are, and how long it waits."""
    proc: Path = Path("/proc")
    """Where the machine's own is, for a container that sees it elsewhere."""


class ModelSettings(Section):
    cache: Path | None = None
    """Where the weights are kept. None: SPARKVOX_CACHE, else the user's cache folder."""
    warm_s: float = Field(900.0, gt=0)
    """How long an engine may take to load."""
    accept_licences: tuple[str, ...] = ()
    """Licences that need a yes before a model under them is fetched, and have it: `cc-by-nc-4.0`, with commas between several."""

    _split = field_validator("accept_licences", mode="before")(_listed)


class Settings(Section):
    profile: Profile = Profile.AUTO
    """After validation never `auto`."""
    topology: TopologyName = TopologyName.LAPTOP
    """Which nodes there are and what runs where. Not given: one node of the profile's kind. Named alone it chooses the profile too."""
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
    memory: MemorySettings = MemorySettings()
    logs: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()

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
        user = nested(given)
        topology = _one_of(TopologyName, "topology", user["topology"]) if "topology" in user else None
        profile = _profile(user.get("profile", topology.profile if topology else Profile.AUTO))
        topology = topology or profile.topology
        below: Mapping[str, Any] = {}
        for layer in (*defaults(profile, topology), user):
            below = merged(below, layer)
        try:
            return handler({**below, "profile": profile, "topology": topology})
        except ValidationError as error:
            raise SettingsError(sentence(error, list(known_settings()))) from None


DEFAULT_MEMORY = MemorySettings()
DEFAULT_LOGS = LogSettings()


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
    profile = _one_of(Profile, "profile", given)
    return _fitting_profile() if profile is Profile.AUTO else profile


def _one_of(kind: type[Named], setting: str, given: Any) -> Named:
    try:
        return kind(given)
    except ValueError:
        raise SettingsError(f"{setting} is {given!r}, but must be one of {', '.join(kind)}") from None


def _fitting_profile() -> Profile:
    if not nvidia_gpu_visible():
        return Profile.CPU
    if missing := [package for package in SPARK_PACKAGES if not _installed(package)]:
        log.warning("an NVIDIA GPU is visible, but %s is not installed (`scripts/setup spark` does it): profile cpu is used", missing[0])
        return Profile.CPU
    return Profile.SPARK


def _installed(package: str) -> bool:
    """By its distribution: vLLM for the CPU has the same modules under another name."""
    try:
        return bool(importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return False
