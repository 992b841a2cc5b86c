"""Requests that no route answers: what is said, so that a wrong base URL, method or kind of connection is seen at once."""

from collections.abc import Collection, Iterable

from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route, get_route_path
from starlette.types import Receive, Scope, Send

from serve_app.http.errors import ApiError, response

API = "/v1"
NO_CALLS = "There are no calls by WebRTC or SIP here yet: connect a websocket to /v1/realtime instead."
NOT_HERE = {
    "/v1/realtime/sessions": "Ephemeral keys come from POST /v1/realtime/client_secrets.",
    "/v1/realtime/transcription_sessions": "Ephemeral keys come from POST /v1/realtime/client_secrets.",
}
"""Paths of OpenAI's API, of now or before, that have another one in their place."""


def unknown(what: str, path: str, known: Iterable[str]) -> ApiError:
    """For `what` at a path where there is nothing; `known`: paths of the API. One of them behind another beginning, or without its own, is
    what a client with a wrong base URL asks for."""
    meant = max((one for one in known if path.endswith(one.removeprefix(API))), key=len, default=None)
    if path in NOT_HERE:
        hint = NOT_HERE[path]
    elif meant is not None:
        hint = f"It is at {meant}: the base URL of the client must end with {API}, once."
    else:
        hint = "/docs lists what there is."
    return ApiError(404, f"There is no {what} {path} here. {hint}", "unknown_url")


def no_socket(scope: Scope) -> ApiError:
    path = get_route_path(scope)
    return ApiError(404, f"There is no websocket at {path} here. It is at /v1/realtime.", "unknown_url")


async def no_calls(_: object) -> Response:
    raise ApiError(404, NO_CALLS, "not_supported")


async def needs_socket(_: object) -> Response:
    raise ApiError(426, "/v1/realtime is a websocket: connect to it with ws:// or wss://.", "websocket_required")


class NoRoute:
    """Answers whatever reached no route: 405 where one takes other methods, else 404; to OPTIONS what may be asked."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer(scope)(scope, receive, send)


def answer(scope: Scope, methods: Collection[str] = ()) -> Response:
    """`methods`: that the path takes besides those of the application's routes."""
    routes, path, method = scope["app"].routes, get_route_path(scope), scope["method"]
    taken = {*methods, *_methods(routes, scope)}
    if not taken:
        known = [route.path for route in routes if isinstance(route, Route) and "{" not in route.path]
        return response(unknown(method, path, [one for one in known if one.startswith(API)]))
    allow = {"allow": ", ".join(sorted({*taken, "OPTIONS"}))}
    if method == "OPTIONS":
        return Response(status_code=204, headers=allow)
    return response(ApiError(405, f"{path} takes {allow['allow']}, not {method}.", "method_not_allowed"), allow)


def _methods(routes: Iterable[BaseRoute], scope: Scope) -> set[str]:
    fitting = [route for route in routes if isinstance(route, Route) and route.methods and route.matches(scope)[0] is not Match.NONE]
    return {method for route in fitting for method in route.methods or ()}
