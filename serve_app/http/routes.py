"""Where each request goes."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from serve_app.admission import Door
from serve_app.engines import Engines
from serve_app.http import chat, client_secrets, errors, speech, transcriptions
from serve_app.http.exchange import Endpoint, caller_of
from serve_app.realtime.session_object import Served
from serve_app.realtime.voices import VOICES, served_voice
from serve_app.settings import Settings


@dataclass(frozen=True, slots=True)
class Api:
    engines: Engines
    served: Served
    settings: Settings
    door: Door

    async def speech(self, request: Request) -> Response:
        return await speech.answer(request, self.engines.text_to_speech, self.served)

    async def transcriptions(self, request: Request) -> Response:
        allowance = self.door.allowance(caller_of(request.scope))
        return await transcriptions.answer(request, self.engines, self.settings.http, allowance)

    async def chat(self, request: Request) -> Response:
        return await chat.answer(request, self.engines.language_model, self.served.model)

    async def client_secrets(self, request: Request) -> Response:
        return await client_secrets.answer(request, self.door.access, self.served, self.settings.session.max_s)

    async def models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._model(name) for name in self._models]})

    async def model(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._models:
            return errors.response(errors.ApiError(404, f"The model {name!r} is not served here.", "model_not_found", "model"))
        return JSONResponse(self._model(name))

    async def voices(self, _: Request) -> Response:
        """Each with the names of other vendors that it stands for. Any of them may be mixed: `a+b`."""
        return JSONResponse({"object": "list", "data": [self._voice(name) for name in self.served.voices]})

    @property
    def _models(self) -> tuple[str, ...]:
        return (self.served.model, self.served.transcription_model, self.settings.tts.engine)

    def _model(self, name: str) -> dict[str, object]:
        return {"id": name, "object": "model", "created": 0, "owned_by": "sparkvox"}

    def _voice(self, name: str) -> dict[str, object]:
        served = self.served
        aliases = [asked for asked in VOICES if served_voice(asked, served.voices, served.voice) == name]
        return {"id": name, "object": "voice", "name": name, "default": name == served.voice, "aliases": aliases}


def routes(api: Api, middleware: Sequence[Middleware] = ()) -> list[BaseRoute]:
    """`middleware`: what each of them stands behind."""

    def post(path: str, answer: Callable[[Request], Awaitable[Response]]) -> Route:
        endpoint = Endpoint(answer, api.door.requests, api.settings.gateway.origins)
        return Route(path, endpoint, methods=["POST"], middleware=middleware)

    return [
        post("/v1/audio/speech", api.speech),
        post("/v1/audio/transcriptions", api.transcriptions),
        post("/v1/audio/translations", transcriptions.translations),
        post("/v1/chat/completions", api.chat),
        post("/v1/realtime/client_secrets", api.client_secrets),
        Route("/v1/audio/voices", api.voices, middleware=middleware),
        Route("/v1/models", api.models, middleware=middleware),
        Route("/v1/models/{name:path}", api.model, middleware=middleware),
    ]
