"""What can be set of an engine: which one, its options, and where it runs."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator

from serve_app.layers import typed
from serve_app.section import Section


class EngineChoice(Section):
    """Which adapter of deployments/engines, and what its constructor is given."""

    engine: str
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("options")
    @classmethod
    def _as_typed(cls, options: dict[str, Any]) -> dict[str, Any]:
        """The command line gives text only; nothing else says what type an option of an engine has."""
        return typed(options)


class Placement(EngineChoice):
    """An engine that has a deployment of its own."""

    replicas: int = Field(1, ge=1)
    max_replicas: int | None = Field(None, ge=1)
    """None: always `replicas`; else Serve adds some, up to so many, as they fill."""
    num_cpus: float = Field(ge=0)
    """Logical cores for Ray's placement; nothing is held to them."""
    num_gpus: float | None = Field(None, ge=0)
    """The part of a node's GPU, and so of its memory, that one replica has. None: what the memory plan gives it (`sparkvox plan`)."""
    max_ongoing: int = Field(64, ge=1)
    """Requests that the engine of one replica has at once; others wait for their turn there."""
    bundles: tuple[dict[str, float], ...] = ()
    """A placement group for one replica whose engine has parts on several nodes: resources of each part, the replica itself in the
    first. Each part goes to another node. A part without GPU is given what the memory plan has for it."""
    max_replicas_per_node: int | None = Field(None, ge=1)
    """More wait for another node, however long, and Serve calls the application unhealthy meanwhile; it serves all the same."""
    bundle_labels: tuple[dict[str, str], ...] = ()
    """Labels that the node of each bundle must have; `!speech` is every value but that, and none."""
    memory_bytes: int | None = Field(None, ge=0)
    """What one replica takes of its node, all in all; on a Spark it does not start where less is there. None: the memory plan's figure."""
    prefer: dict[str, str] = Field(default_factory=dict)
    """Labels of the nodes (`ray start --labels`) where replicas go if there is room; else they go elsewhere."""

    @property
    def on_gpu(self) -> bool:
        return bool(self.num_gpus) or any(bundle.get("GPU") for bundle in self.bundles)


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
    max_spoken_tokens: int | None = Field(300, ge=1)
    """The longest spoken response, where the client sets none: a minute and a half of speech. It ends with a sentence if one ends in the
    last fifth. A client's `max_output_tokens` takes its place, `"inf"` too. None: no limit of its own."""
    ends_loops: bool = True
    """Whether a reply that repeats itself for ever is ended."""


class TextToSpeechSettings(Placement):
    voice: str
    speed: float = Field(1.0, ge=0.25, le=4)
