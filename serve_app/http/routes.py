"""Where each request goes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from serve_app.admission import Admission
from serve_app.engines import Engines
from serve_app.http import chat, errors, speech, transcriptions
from serve_app.http.exchange import Endpoint
from serve_app.realtime.session_object import Served
from serve_app.realtime.voices import VOICES, served_voice
from serve_app.settings import Settings


@dataclass(frozen=True, slots=True)
class Api:
    engines: Engines
    served: Served
    settings: Settings

    async def speech(self, request: Request) -> Response:
        return await speech.answer(request, self.engines.text_to_speech, self.served)

    async def transcriptions(self, request: Request) -> Response:
        return await transcriptions.answer(request, self.engines, self.settings.http)

    async def chat(self, request: Request) -> Response:
        return await chat.answer(request, self.engines.language_model, self.served.model)

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


def routes(api: Api) -> list[BaseRoute]:
    admission = Admission(api.settings.http.max_requests)

    def post(path: str, answer: Callable[[Request], Awaitable[Response]]) -> Route:
        return Route(path, Endpoint(answer, admission, api.settings.gateway.origins), methods=["POST"])

    return [
        post("/v1/audio/speech", api.speech),
        post("/v1/audio/transcriptions", api.transcriptions),
        post("/v1/audio/translations", transcriptions.translations),
        post("/v1/chat/completions", api.chat),
        Route("/v1/audio/voices", api.voices),
        Route("/v1/models", api.models),
        Route("/v1/models/{name:path}", api.model),
    ]


async def unknown(request: Request) -> Response:
    """Under /v1, whatever has no route."""
    return errors.response(errors.ApiError(404, f"There is no {request.method} {request.url.path} here.", "unknown_url"))
