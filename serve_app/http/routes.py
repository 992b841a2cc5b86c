"""Where each request goes."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from serve_app.admission import Door
from serve_app.engines import Engines, known_languages
from serve_app.http import chat, client_secrets, errors, speech, transcriptions
from serve_app.http.exchange import Endpoint, caller_of
from serve_app.realtime.session_object import Served
from serve_app.realtime.voices import VOICES, served_voice
from serve_app.settings import Settings

TEXT_TO_SPEECH = "text-to-speech"


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

    async def models(self, request: Request) -> Response:
        """All of them, or those of one task (`?task=text-to-speech`)."""
        task = request.query_params.get("task")
        models = [model for model in self._models() if task in (None, model["task"])]
        return JSONResponse({"object": "list", "data": models})

    async def model(self, request: Request) -> Response:
        name = request.path_params["name"]
        found = next((model for model in self._models() if model["id"] == name), None)
        if found is None:
            return errors.response(errors.ApiError(404, f"The model {name!r} is not served here.", "model_not_found", "model"))
        return JSONResponse(found)

    async def audio_models(self, _: Request) -> Response:
        """Of text-to-speech alone, as Open WebUI asks for them."""
        models = [model for model in self._models() if model["task"] == TEXT_TO_SPEECH]
        return JSONResponse({"object": "list", "models": models, "data": models})

    async def voices(self, _: Request) -> Response:
        """Each with the names of other vendors that it stands for. Any of them may be mixed: `a+b`. Some clients read `voices`, some
        `data`."""
        voices = self._voices()
        return JSONResponse({"object": "list", "data": voices, "voices": voices})

    def _models(self) -> list[dict[str, Any]]:
        """The fields that OpenAI's API does not have (task, language, voices, sample_rate) are those of speaches: clients sort by them."""
        served, engine = self.served, self.engines.text_to_speech
        return [
            _model(served.model, "text-generation"),
            _model(served.transcription_model, "automatic-speech-recognition", _language(known_languages(self.engines.speech_to_text))),
            _model(
                self.settings.tts.engine,
                TEXT_TO_SPEECH,
                _language(known_languages(engine)),
                sample_rate=engine.sample_rate,
                voices=self._voices(),
            ),
        ]

    def _voices(self) -> list[dict[str, Any]]:
        served, languages = self.served, known_languages(self.engines.text_to_speech) or ()
        only = languages[0] if len(languages) == 1 else None
        stands_for: dict[str, list[str]] = {}
        for asked in VOICES:
            stands_for.setdefault(served_voice(asked, served.voices, served.voice), []).append(asked)
        return [
            {
                "id": name,
                "object": "voice",
                "name": name,
                "language": only,
                "default": name == served.voice,
                "aliases": stands_for.get(name, []),
            }
            for name in served.voices
        ]


def _model(name: str, task: str, language: list[str] | None = None, **more: Any) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "sparkvox", "task": task, "language": language, **more}


def _language(known: tuple[str, ...] | None) -> list[str] | None:
    return None if known is None else sorted(known)


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
        Route("/v1/audio/models", api.audio_models, middleware=middleware),
        Route("/v1/models", api.models, middleware=middleware),
        Route("/v1/models/{name:path}", api.model, middleware=middleware),
    ]
