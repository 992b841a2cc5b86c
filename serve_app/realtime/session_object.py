"""The session object: what it holds, how an update is merged into it, what the conversation makes of it.

Merge rules (shared by every client of the protocol): only the fields present change; "", [] and null clear; the voice is fixed after the
first audio out. Models and voices that are not served are taken and mapped; the echoed session says to what.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import BaseModel

from serve_app.core.config import Config, Modality, SemanticVad, ServerVad, TurnTaking
from serve_app.core.language import Hints, Tool
from serve_app.errors import SparkvoxError
from serve_app.languages import UnknownLanguage, known
from serve_app.realtime.client_events import FunctionTool, SessionUpdateBody, ToolChoiceFunction, Transcription, VoiceId
from serve_app.realtime.errors import ProtocolError
from serve_app.realtime.voices import served_voice

LONGEST_SILENCE_S = {"low": 8.0, "medium": 4.0, "high": 2.0, "auto": 4.0}
"""Of semantic_vad, by eagerness (OpenAI's documented limits)."""

SERVER_VAD = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
SEMANTIC_VAD = {"type": "semantic_vad", "eagerness": "auto", "create_response": True, "interrupt_response": True}
_DETECTION: dict[str, dict[str, Any]] = {"server_vad": SERVER_VAD, "semantic_vad": SEMANTIC_VAD}
TRANSCRIPTION = {"model": None, "language": None, "prompt": None}
TIMINGS = "sparkvox.timings"
"""In `include`: the client wants those of its turns."""
LONGEST_ECHO = 1024 * 1024 - 16 * 1024
"""Bytes of a session or an item: some clients take no message above 1 MiB (pipecat), and there is an event around it."""
_PCM = {"type": "audio/pcm", "rate": 24_000}


class Unreadable(SparkvoxError, ValueError):
    """A kept session that this version of the server cannot take up."""


@dataclass(frozen=True, slots=True)
class Served:
    """What this server has, in the words of the session object."""

    model: str
    transcription_model: str
    voice: str
    voices: tuple[str, ...]
    instructions: str = ""
    speed: float = 1.0
    """Of speech, where the client says nothing else."""
    heard_languages: tuple[str, ...] | None = None
    """That speech-to-text knows, by primary tag. None: it does not say."""
    spoken_languages: tuple[str, ...] | None = None
    """That text-to-speech knows."""
    spoken_tokens: int | None = None
    """The longest spoken response, where the client says nothing else."""


class SessionObject:
    """One session's settings in the wire's shape."""

    def __init__(self, session_id: str, served: Served, expires_at: int, transcription_only: bool = False) -> None:
        """`expires_at`: seconds since 1970."""
        self._served = served
        self._voice_fixed = False
        self._limit_set = False
        """The client has said how long a response may be, be it "inf"."""
        self._body: dict[str, Any] = {
            "type": "transcription" if transcription_only else "realtime",
            "object": "realtime.session",
            "id": session_id,
            "model": served.model,
            "output_modalities": ["audio"],
            "instructions": served.instructions,
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "tracing": None,
            "truncation": "auto",
            "prompt": None,
            "expires_at": expires_at,
            "audio": {
                "input": {"format": dict(_PCM), "transcription": None, "noise_reduction": None, "turn_detection": dict(SERVER_VAD)},
                "output": {"format": dict(_PCM), "voice": served.voice, "speed": served.speed},
            },
            "include": None,
        }
        if transcription_only:
            self._body["audio"]["input"]["transcription"] = {**TRANSCRIPTION, "model": served.transcription_model}

    @property
    def id(self) -> str:
        return str(self._body["id"])

    @property
    def expires_at(self) -> int:
        """Seconds since 1970."""
        return int(self._body["expires_at"])

    @property
    def input_format(self) -> str:
        return str(self._body["audio"]["input"]["format"]["type"])

    @property
    def output_format(self) -> str:
        return str(self._body["audio"]["output"]["format"]["type"])

    @property
    def includes_timings(self) -> bool:
        return TIMINGS in (self._body["include"] or ())

    def wire(self) -> dict[str, Any]:
        """Of `include` what the protocol knows: strict clients would not take the rest."""
        body = deepcopy(self._body)
        body["include"] = [name for name in body["include"] or () if name != TIMINGS] or None
        if body["type"] == "transcription":
            kept = {key: body[key] for key in ("type", "object", "id", "expires_at", "include")}
            return kept | {"audio": {"input": body["audio"]["input"]}}
        return body

    def kept(self) -> dict[str, Any]:
        """All of it, for `restore`."""
        return {"body": self._body, "voice_fixed": self._voice_fixed, "limit_set": self._limit_set}

    def restore(self, kept: dict[str, Any]) -> None:
        """As it was on another connection, perhaps to another version of the server: what that one did not keep is as in a new session, and
        what this one does not know is left out. A voice that is not served any more is mapped. Raises `Unreadable` where the settings mean
        nothing here; the session is of no use then."""
        try:
            body, self._voice_fixed = deepcopy(kept["body"]), bool(kept["voice_fixed"])
            audio = {name: _known(section, body["audio"].get(name, {})) for name, section in self._body["audio"].items()}
            self._body = {**_known(self._body, body), "audio": audio}
            detection = audio["input"]["turn_detection"]
            if detection is not None:
                audio["input"]["turn_detection"] = {**_DETECTION[detection["type"]], **detection}
            audio["output"]["voice"] = self.voice_for(audio["output"]["voice"])
            self._limit_set = bool(kept.get("limit_set", self._body["max_output_tokens"] != "inf"))
            self.config()
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise Unreadable(f"the kept settings are none of this version: {error!r}") from error

    def fix_voice(self) -> None:
        """The first audio is out."""
        self._voice_fixed = True

    def update(self, update: SessionUpdateBody) -> None:
        """Merge. Raises ProtocolError, and then nothing has changed."""
        body = deepcopy(self._body)
        if update.type is not None and update.type != body["type"]:
            raise ProtocolError("The type of a session cannot be changed.", "invalid_value", "session.type")
        for name in update.model_fields_set - {"type", "model", "audio"}:
            body[name] = _cleared(name) if getattr(update, name) is None else _plain(getattr(update, name))
        if update.audio is not None and update.audio.input is not None:
            self._merge_input(body["audio"]["input"], update.audio.input)
        if update.audio is not None and update.audio.output is not None:
            self._merge_output(body["audio"]["output"], update.audio.output)
        check_length(body, "session")
        self._body = body
        if "max_output_tokens" in update.model_fields_set:
            self._limit_set = update.max_output_tokens is not None

    def config(self) -> Config:
        """The same, as the conversation takes it."""
        body = self._body
        transcription = body["audio"]["input"]["transcription"]
        return Config(
            instructions=body["instructions"],
            modality=Modality(body["output_modalities"][0]),
            turn_taking=_turn_taking(body["audio"]["input"]["turn_detection"]),
            responds=body["type"] == "realtime",
            transcribes=transcription is not None,
            hints=_hints(transcription, self._served.heard_languages),
            voice=body["audio"]["output"]["voice"],
            speed=body["audio"]["output"]["speed"],
            audio_format=self.output_format,
            tools=tools_of(body["tools"]),
            tool_choice=body["tool_choice"] if isinstance(body["tool_choice"], str) else body["tool_choice"]["name"],
            max_tokens=None if body["max_output_tokens"] == "inf" else body["max_output_tokens"],
            spoken_tokens=None if self._limit_set else self._served.spoken_tokens,
        )

    def voice_for(self, asked: str | VoiceId | None) -> str | None:
        """The served voice for what a client names; None stays None."""
        if asked is None:
            return None
        return served_voice(asked.id if isinstance(asked, VoiceId) else asked, self._served.voices, self._served.voice)

    def _merge_input(self, body: dict[str, Any], update: Any) -> None:
        for name in update.model_fields_set:
            value = getattr(update, name)
            match name:
                case "format":
                    body[name] = dict(_PCM) if value is None or value.type == "audio/pcm" else {"type": value.type}
                case "transcription" if value is not None:
                    self._check_languages(value)
                    body[name] = {**(body[name] or TRANSCRIPTION), **_plain(value), "model": self._served.transcription_model}
                case "turn_detection" if value is not None:
                    current = body[name] if body[name] and body[name]["type"] == value.type else _DETECTION[value.type]
                    body[name] = {**current, **_plain(value)}
                case _:
                    body[name] = None if value is None else _plain(value)

    def _check_languages(self, update: Transcription) -> None:
        """Speech of another language would come out as words of one that the engine knows."""
        given = {"language": update.language, **{f"languages[{n}]": one for n, one in enumerate(update.languages or ())}}
        for name, language in given.items():
            try:
                known(language, self._served.heard_languages, "speech-to-text engine")
            except UnknownLanguage as unknown:
                message = f"Invalid value for 'session.audio.input.transcription.{name}': {unknown}."
                raise ProtocolError(message, "invalid_value", f"session.audio.input.transcription.{name}") from unknown

    def _merge_output(self, body: dict[str, Any], update: Any) -> None:
        if update.format is not None:
            body["format"] = dict(_PCM) if update.format.type == "audio/pcm" else {"type": update.format.type}
        if update.speed is not None:
            body["speed"] = update.speed
        voice = self.voice_for(update.voice)
        if voice is not None and voice != body["voice"]:
            if self._voice_fixed:
                message = "The voice cannot be changed once the session has produced audio."
                raise ProtocolError(message, "cannot_update_voice", "session.audio.output.voice")
            body["voice"] = voice


def _known(defaults: dict[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    return {name: kept.get(name, default) for name, default in defaults.items()}


def check_length(told: dict[str, Any], param: str) -> None:
    """Raises ProtocolError for what cannot be told in one message that every client takes."""
    length = len(orjson.dumps(told))
    if length > LONGEST_ECHO:
        message = f"It takes {length} bytes as JSON, more than the {LONGEST_ECHO} that fit in a message to the client."
        raise ProtocolError(message, "string_above_max_length", param)


def tools_of(tools: list[dict[str, Any]] | list[FunctionTool]) -> tuple[Tool, ...]:
    plain = [tool if isinstance(tool, dict) else _plain(tool) for tool in tools]
    return tuple(
        Tool(tool["name"], tool.get("description") or "", tool.get("parameters") or {"type": "object", "properties": {}}) for tool in plain
    )


def tool_choice_of(choice: str | ToolChoiceFunction | None) -> str | None:
    return choice.name if isinstance(choice, ToolChoiceFunction) else choice


def _cleared(name: str) -> Any:
    return {"instructions": "", "tools": [], "tool_choice": "auto", "max_output_tokens": "inf", "truncation": "auto"}.get(
        name, ["audio"] if name == "output_modalities" else None
    )


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True)
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value


def _turn_taking(body: dict[str, Any] | None) -> TurnTaking:
    if body is None:
        return None
    create, interrupt = body["create_response"] is not False, body["interrupt_response"] is not False
    if body["type"] == "semantic_vad":
        return SemanticVad(LONGEST_SILENCE_S[body["eagerness"] or "auto"], create_response=create, interrupt_response=interrupt)
    return ServerVad(
        threshold=_or(body["threshold"], 0.5),
        prefix_padding_s=_or(body["prefix_padding_ms"], 300) / 1000,
        silence_s=_or(body["silence_duration_ms"], 500) / 1000,
        idle_timeout_s=body["idle_timeout_ms"] and body["idle_timeout_ms"] / 1000,
        create_response=create,
        interrupt_response=interrupt,
    )


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _tag(language: str | None, heard: tuple[str, ...] | None) -> str | None:
    """None also where a session comes back to a server whose engine does not know its language any more."""
    try:
        return known(language, heard, "")
    except UnknownLanguage:
        return None


def _hints(transcription: dict[str, Any] | None, heard: tuple[str, ...] | None) -> Hints:
    if transcription is None:
        return Hints()
    languages = tuple(filter(None, (_tag(one, heard) for one in transcription.get("languages") or ())))
    language = _tag(transcription.get("language"), heard) or (languages[0] if len(languages) == 1 else None)
    return Hints(language, transcription.get("prompt") or "", tuple(transcription.get("keywords") or ()), languages)
