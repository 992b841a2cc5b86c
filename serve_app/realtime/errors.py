"""What is wrong with a client's event, in the protocol's terms."""

from typing import Any

from pydantic import ValidationError


class ProtocolError(Exception):
    """Becomes one `error` event; the session stays usable.

    Codes: invalid_event, invalid_json, invalid_value, missing_required_parameter, unknown_parameter, unsupported_content_type and those
    of core.
    """

    def __init__(self, message: str, code: str, param: str | None = None, event_id: str | None = None) -> None:
        super().__init__(message, code, param, event_id)
        self.message, self.code, self.param, self.event_id = message, code, param, event_id


_CODES = {"extra_forbidden": "unknown_parameter", "missing": "missing_required_parameter"}


LONGEST_NAME, LONGEST_MESSAGE = 200, 1000
"""Characters of what a client wrote that come back in an error."""


def short(text: str, longest: int = LONGEST_NAME) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


def from_validation(error: ValidationError, event_id: str | None, body: Any = None) -> ProtocolError:
    """Makes an error of the first thing that pydantic found wrong. `body`: what was validated."""
    first = error.errors(include_url=False, include_input=False)[0]
    param = short(param_path(first["loc"], body))
    code = _CODES.get(first["type"], "invalid_value")
    match code:
        case "unknown_parameter":
            message = f"Unknown parameter: '{param}'."
        case "missing_required_parameter":
            message = f"Missing required parameter: '{param}'."
        case _:
            what = first["msg"].removeprefix("Value error, ")  # what pydantic says before the words of a check of ours
            message = short(f"Invalid value for '{param}': {what}.", LONGEST_MESSAGE)
    return ProtocolError(message, code, param, event_id)


_UNTAKEN = {
    "image": "Images cannot be seen here: the language model reads text alone.",
    "video": "Videos cannot be seen here: the language model reads text alone.",
    "audio": "Sound cannot be heard here as content; /v1/audio/transcriptions writes what was said in it, /v1/realtime talks.",
    "file": "Files cannot be read here: send their text.",
}


def untaken(kind: str) -> str:
    """Why content of this type (`image_url`, `input_image`, `file`) is not taken, in a sentence; empty where nothing is known of it."""
    return next((why for name, why in _UNTAKEN.items() if name in kind.lower()), "")


def param_path(location: tuple[Any, ...], body: Any = None) -> str:
    """Gives ("session", "tools", 2, "meta") as session.tools[2].meta. The tags of pydantic's unions are not part of the path, unless
    `body` has a field of that name there."""
    path, last = "", len(location) - 1
    for number, step in enumerate(location):
        inside = body.get(step) if isinstance(body, dict) and step in body else None
        if isinstance(step, int):
            path += f"[{step}]"
            body = body[step] if isinstance(body, list) and step < len(body) else None
        elif inside is None and (step in _UNION_TAGS or step.startswith("~") or (number < last and _is_tag(step, body))):
            continue
        else:
            path += f".{step}" if path else str(step)
            body = inside
    return path


def _is_tag(step: str, body: Any) -> bool:
    return isinstance(body, dict) and body.get("type") == step


_UNION_TAGS = {
    "server_vad", "semantic_vad", "message", "function_call", "function_call_output", "item_reference", "function", "str", "int",
    "VoiceId", "constrained-int", "literal['inf']", "NamedTool", "literal['auto','none','required']", "ToolChoiceFunction",
    "realtime", "transcription", "[key]",
}  # fmt: skip
