"""Routes that say what they take and give, by the types that they read and by those that their answers fit: /openapi.json is made of that
(openapi.py)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from starlette.middleware import Middleware
from starlette.routing import Route

from serve_app.http.errors import ErrorAnswer

JSON, FORM, EVENTS, TEXT = "application/json", "multipart/form-data", "text/event-stream", "text/plain"

Shape = type[BaseModel] | str | tuple[type[BaseModel] | str, ...] | None
"""What content fits: a type, one of the package `openai` by its module and name (`openai.types:Model`), which is imported when somebody
asks, one of several, or None for bytes and text."""


@dataclass(frozen=True, slots=True)
class Described:
    summary: str
    tag: str
    gives: Mapping[str, Shape]
    """Of a success, by media type."""
    status: int = 200
    takes: type[BaseModel] | None = None
    form: bool = False
    """Whether that comes as a form, not as JSON."""
    query: Mapping[str, str] = field(default_factory=dict)
    """What each parameter of the address means."""
    refuses: Mapping[int, str] = field(default_factory=dict)
    """By status, why."""
    refusal: Shape = ErrorAnswer
    open: bool = False
    """Whether no key is asked for."""


class DescribedRoute(Route):
    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        described: Described,
        methods: Sequence[str] = ("GET",),
        middleware: Sequence[Middleware] = (),
    ) -> None:
        super().__init__(path, endpoint, methods=methods, middleware=middleware)
        self.described = described
