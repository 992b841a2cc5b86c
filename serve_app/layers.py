"""Settings as plain data before they are typed: dotted names taken apart, what the user sets laid over what is set already, and what was
wrong said in a sentence."""

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from serve_app.errors import SettingsError


def nested(given: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names as dictionaries within dictionaries. Raises `SettingsError` where a name is given both ways."""
    found: dict[str, Any] = {}
    for key, value in given.items():
        *path, last = str(key).split(".")
        at = found
        for name in path:
            at = at.setdefault(name, {})
            if not isinstance(at, dict):
                raise SettingsError(f"{key} cannot be set: {name} is given as a single value too")
        at[last] = _joined(at.get(last), nested(value) if isinstance(value, Mapping) else value)
    return found


def _joined(old: Any, new: Any) -> Any:
    """`llm: {...}` and `llm.model: ...` may both be given."""
    return {**old, **new} if isinstance(old, dict) and isinstance(new, dict) else new


def merged(defaults: Mapping[str, Any], user: Mapping[str, Any]) -> dict[str, Any]:
    """The user's over the defaults, but without what was meant for another engine or model."""
    both = dict(defaults)
    if user.get("engine", defaults.get("engine")) != defaults.get("engine"):
        both.pop("options", None)
        both.pop("model", None)
    elif "model" in user and user["model"] != defaults.get("model") and "options" in both:
        both["options"] = {name: value for name, value in both["options"].items() if name != "engine_args"}
    for key, value in user.items():
        below = both.get(key)
        both[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return both


def typed(options: dict[str, Any]) -> dict[str, Any]:
    """Text that looks like JSON as what it says, since a command line can give nothing else."""

    def of(value: Any) -> Any:
        return typed(value) if isinstance(value, dict) else _scalar(value) if isinstance(value, str) else value

    return {name: of(value) for name, value in options.items()}


def _scalar(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def sentence(error: ValidationError, known: Sequence[str]) -> str:
    """What is wrong, each setting by its name; `known` are all names, of which the nearest is told for one that does not exist."""
    problems = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            problems.append(f"{name} is no setting{_nearest(name, known)}")
        else:
            problems.append(f"{name}: {problem['msg']} (given: {problem['input']!r})")
    return "; ".join(problems)


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    same_end = [candidate for candidate in known if candidate.rpartition(".")[2] == name.rpartition(".")[2]]
    return f"; did you mean {(same_end or near)[0]}?" if same_end or near else ""
