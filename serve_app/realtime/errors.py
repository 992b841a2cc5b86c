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


def from_validation(error: ValidationError, event_id: str | None) -> ProtocolError:
    """The first thing that pydantic found wrong."""
    first = error.errors(include_url=False, include_input=False)[0]
    param = param_path(first["loc"])
    code = _CODES.get(first["type"], "invalid_value")
    match code:
        case "unknown_parameter":
            message = f"Unknown parameter: '{param}'."
        case "missing_required_parameter":
            message = f"Missing required parameter: '{param}'."
        case _:
            message = f"Invalid value for '{param}': {first['msg']}."
    return ProtocolError(message, code, param, event_id)


def param_path(location: tuple[Any, ...]) -> str:
    """("session", "tools", 2, "meta") as session.tools[2].meta; the tags of pydantic's unions are not part of the path."""
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif step not in _UNION_TAGS:
            path += f".{step}" if path else str(step)
    return path


_UNION_TAGS = {
    "server_vad", "semantic_vad", "message", "function_call", "function_call_output", "item_reference", "function", "str", "int",
    "VoiceId", "constrained-int", "literal['inf']", "NamedTool", "literal['auto','none','required']", "ToolChoiceFunction",
    "realtime", "transcription",
}  # fmt: skip
