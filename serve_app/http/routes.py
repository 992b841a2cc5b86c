"""Where each request goes."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from serve_app.admission import Door
from serve_app.engines import Engines, known_languages
from serve_app.http import chat, client_secrets, errors, speech, transcriptions
from serve_app.http.described import EVENTS, JSON, TEXT, Described, DescribedRoute
from serve_app.http.encoders import MEDIA_TYPES
from serve_app.http.exchange import Endpoint, caller_of
from serve_app.realtime.session_object import Served
from serve_app.realtime.voices import VOICES, served_voice
from serve_app.settings import Settings


class Voice(BaseModel):
    id: str
    object: Literal["voice"] = "voice"
    name: str
    language: str | None
    """Null where the engine does not say."""
    default: bool
    aliases: list[str]
    """Names of other vendors that it stands for."""


class ServedModel(BaseModel):
    """The fields that OpenAI's API does not have (task, language, voices, sample_rate) are those of speaches: clients sort by them."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "sparkvox"
    task: Literal["text-generation", "automatic-speech-recognition", "text-to-speech"]
    language: list[str] | None = None
    """What it knows, by primary tag; null where the engine does not say."""


class SpeakingModel(ServedModel):
    sample_rate: int
    voices: list[Voice]


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[SpeakingModel | ServedModel]


class AudioModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[SpeakingModel]
    models: list[SpeakingModel]


class VoiceList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Voice]
    voices: list[Voice]


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
        return _json(ModelList(data=[model for model in self._models() if task in (None, model.task)]))

    async def model(self, request: Request) -> Response:
        name = request.path_params["name"]
        found = next((model for model in self._models() if model.id == name), None)
        if found is None:
            return errors.response(errors.ApiError(404, f"The model {name!r} is not served here.", "model_not_found", "model"))
        return _json(found)

    async def audio_models(self, _: Request) -> Response:
        """Of text-to-speech alone, as Open WebUI asks for them."""
        models = [model for model in self._models() if isinstance(model, SpeakingModel)]
        return _json(AudioModelList(models=models, data=models))

    async def voices(self, _: Request) -> Response:
        """Each with the names of other vendors that it stands for. Any of them may be mixed: `a+b`. Some clients read `voices`, some
        `data`."""
        voices = self._voices()
        return _json(VoiceList(data=voices, voices=voices))

    def _models(self) -> list[SpeakingModel | ServedModel]:
        served, engine = self.served, self.engines.text_to_speech
        return [
            ServedModel(id=served.model, task="text-generation"),
            ServedModel(
                id=served.transcription_model,
                task="automatic-speech-recognition",
                language=_language(known_languages(self.engines.speech_to_text)),
            ),
            SpeakingModel(
                id=self.settings.tts.engine,
                task="text-to-speech",
                language=_language(known_languages(engine)),
                sample_rate=engine.sample_rate,
                voices=self._voices(),
            ),
        ]

    def _voices(self) -> list[Voice]:
        served, languages = self.served, known_languages(self.engines.text_to_speech) or ()
        only = languages[0] if len(languages) == 1 else None
        stands_for: dict[str, list[str]] = {}
        for asked in VOICES:
            stands_for.setdefault(served_voice(asked, served.voices, served.voice), []).append(asked)
        return [
            Voice(id=name, name=name, language=only, default=name == served.voice, aliases=stands_for.get(name, []))
            for name in served.voices
        ]


def _language(known: tuple[str, ...] | None) -> list[str] | None:
    return None if known is None else sorted(known)


def _json(body: BaseModel) -> Response:
    return JSONResponse(body.model_dump())


REFUSES = {
    400: "What was asked for is no request, or cannot be done here; the error names it.",
    401: "No key, or a wrong one.",
    403: "An ephemeral key, a page of another origin, or a name that is not this server's.",
}
WORKS = REFUSES | {
    413: "More than is taken.",
    415: "Another type of content than is taken.",
    429: "Too many at once, or more audio than a minute's share; come again.",
    500: "An engine failed.",
    503: "No engine is free, or none is there; come again.",
}
SPEECH = Described(
    "Speaks a text, and sends the sound while it is made",
    "audio",
    {**dict.fromkeys(MEDIA_TYPES.values()), EVENTS: None},
    takes=speech.SpeechRequest,
    refuses=WORKS,
)
TRANSCRIPTION = Described(
    "Writes what is said in a file",
    "audio",
    {
        JSON: ("openai.types.audio:Transcription", "openai.types.audio:TranscriptionVerbose"),
        TEXT: None,
        "text/vtt": None,
        EVENTS: ("openai.types.audio:TranscriptionTextDeltaEvent", "openai.types.audio:TranscriptionTextDoneEvent"),
    },
    takes=transcriptions.TranscriptionForm,
    form=True,
    refuses=WORKS,
)
TRANSLATION = Described("Is not here: nothing is translated", "audio", {JSON: errors.ErrorAnswer}, status=404, refuses=REFUSES)
CHAT = Described(
    "Answers a conversation in text",
    "chat",
    {JSON: "openai.types.chat:ChatCompletion", EVENTS: "openai.types.chat:ChatCompletionChunk"},
    takes=chat.ChatRequest,
    refuses=WORKS,
)
SECRET = Described(
    "Makes an ephemeral key, with the session that it opens",
    "realtime",
    {JSON: "openai.types.realtime:ClientSecretCreateResponse"},
    takes=client_secrets.ClientSecretRequest,
    refuses=WORKS,
)
VOICE_LIST = Described("Lists the voices", "audio", {JSON: VoiceList}, refuses=REFUSES)
AUDIO_MODELS = Described("Lists the models of text-to-speech", "audio", {JSON: AudioModelList}, refuses=REFUSES)
TASK = {"task": "Those of one task only: text-generation, automatic-speech-recognition or text-to-speech."}
MODELS = Described("Lists the models", "models", {JSON: ModelList}, query=TASK, refuses=REFUSES)
MODEL = Described("Tells of one model", "models", {JSON: (SpeakingModel, ServedModel)}, refuses=REFUSES | {404: "It is not served here."})


def routes(api: Api, middleware: Sequence[Middleware] = ()) -> list[BaseRoute]:
    """`middleware`: what each of them stands behind."""

    def post(path: str, answer: Callable[[Request], Awaitable[Response]], described: Described) -> Route:
        endpoint = Endpoint(answer, api.door.requests, api.settings.gateway.origins)
        return DescribedRoute(path, endpoint, described, methods=["POST"], middleware=middleware)

    def get(path: str, answer: Callable[[Request], Awaitable[Response]], described: Described) -> Route:
        return DescribedRoute(path, answer, described, middleware=middleware)

    return [
        post("/v1/audio/speech", api.speech, SPEECH),
        post("/v1/audio/transcriptions", api.transcriptions, TRANSCRIPTION),
        post("/v1/audio/translations", transcriptions.translations, TRANSLATION),
        post("/v1/chat/completions", api.chat, CHAT),
        post("/v1/realtime/client_secrets", api.client_secrets, SECRET),
        get("/v1/audio/voices", api.voices, VOICE_LIST),
        get("/v1/audio/models", api.audio_models, AUDIO_MODELS),
        get("/v1/models", api.models, MODELS),
        get("/v1/models/{name:path}", api.model, MODEL),
    ]
