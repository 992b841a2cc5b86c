"""A language that an engine does not know is refused with those that it does: its words would be of another one."""

from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, BadRequestError

from deployments.engines.fake import FakeRecogniser, FakeTextToSpeech
from deployments.engines.routed import RoutedRecogniser
from serve_app.engines import Engines, Hints
from serve_app.languages import UnknownLanguage, known, tag_of
from serve_app.listening import Listening
from serve_app.realtime.client_events import SessionUpdateBody
from serve_app.realtime.errors import ProtocolError
from serve_app.realtime.session_object import Served, SessionObject
from tests.fake_server import VOICES, fakes
from tests.http.test_exchange import RECORDING, SPEECH

SERVED = Served("small", "ear", "af_heart", VOICES, heard_languages=("en", "no"))


class HearsEnglish(FakeRecogniser):
    languages = ("en",)


class SpeaksEnglish(FakeTextToSpeech):
    languages = ("en",)


@pytest.fixture
def engines() -> Engines:
    return fakes(speech_to_text=Listening(HearsEnglish(["Hello."] * 9)), text_to_speech=SpeaksEnglish(VOICES))


async def transcribe(client: AsyncOpenAI, **more: object) -> Any:
    return await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", RECORDING), **more)


@pytest.mark.parametrize("language", ["de", "de-DE", "german", "German", "deu", "zh_Hans", "xx"])
@pytest.mark.parametrize("field", ["language", "languages"])
async def test_a_file_in_a_language_that_the_engine_does_not_know(field: str, language: str, client: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError, match="it knows en") as refused:
        await transcribe(client, **{field: language if field == "language" else ["en", language]})
    assert (refused.value.code, refused.value.param) == ("unsupported_language", field)


@pytest.mark.parametrize("language", ["no language", "en;de", "*", "12"])
async def test_what_is_no_language_at_all(language: str, client: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError, match="is no language") as refused:
        await transcribe(client, language=language)
    assert refused.value.param == "language"


@pytest.mark.parametrize(
    ("language", "tag"),
    [
        ("en", "en"),
        ("EN", "en"),
        ("en-US", "en-US"),
        ("en_GB", "en-GB"),
        ("english", "en"),
        ("English", "en"),
        ("eng", "en"),
        ("", None),
        ("auto", None),
    ],
)
async def test_the_language_that_it_knows_in_all_its_spellings(
    language: str, tag: str | None, client: AsyncOpenAI, engines: Engines
) -> None:
    assert (await transcribe(client, language=language)).text == "Hello."
    assert engines.speech_to_text._recogniser.hints == [Hints(tag)]


class TestRoutes:
    @pytest.fixture
    def engines(self) -> Engines:
        return fakes(speech_to_text=Listening(RoutedRecogniser(HearsEnglish(["Hello."]), {"de": FakeRecogniser(["Guten Tag."])})))

    async def test_languages_of_routes_are_known_too(self, client: AsyncOpenAI) -> None:
        assert (await transcribe(client, language="german")).text == "Guten Tag."
        assert (await transcribe(client, language="en")).text == "Hello."
        with pytest.raises(BadRequestError, match="it knows de, en"):
            await transcribe(client, language="fr")


@pytest.mark.parametrize("field", ["language", "lang_code"])
@pytest.mark.parametrize(
    ("given", "status"), [("en", 200), ("en-GB", 200), ("a", 200), (None, 200), ("de", 400), ("german", 400), ("j", 400)]
)
async def test_speech_in_a_language(field: str, given: str | None, status: int, client: AsyncOpenAI) -> None:
    async with httpx.AsyncClient(base_url=str(client.base_url)) as plain:
        answer = await plain.post("audio/speech", json={**SPEECH, field: given})
    assert answer.status_code == status
    if status == 400:
        error = answer.json()["error"]
        assert (error["code"], error["param"]) == ("unsupported_language", "language")
        assert "it knows en" in error["message"]


def session_with(**transcription: object) -> SessionObject:
    session = SessionObject("sess_1", SERVED, 0)
    session.update(SessionUpdateBody.model_validate({"audio": {"input": {"transcription": {"model": "whisper-1", **transcription}}}}))
    return session


@pytest.mark.parametrize(
    ("wrong", "param"),
    [({"language": "de"}, "language"), ({"language": "no such"}, "language"), ({"languages": ["en", "german"]}, "languages[1]")],
)
def test_a_session_in_a_language_that_the_engine_does_not_know(wrong: dict[str, object], param: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        session_with(**wrong)
    assert (refused.value.code, refused.value.param) == ("invalid_value", f"session.audio.input.transcription.{param}")


@pytest.mark.parametrize(
    ("given", "hints"),
    [
        ({"language": "english"}, Hints("en")),
        ({"language": "en-US"}, Hints("en-US")),
        ({"language": "nb"}, Hints("no")),
        ({"language": ""}, Hints()),
        ({"languages": ["en", "nb-NO"]}, Hints(languages=("en", "no-NO"))),
    ],
)
def test_a_session_in_one_that_it_knows(given: dict[str, object], hints: Hints) -> None:
    session = session_with(**given)
    assert session.config().hints == hints
    told = session.wire()["audio"]["input"]["transcription"]
    assert {name: told[name] for name in given} == given


def test_a_session_that_comes_back_where_its_language_is_not_known_any_more_goes_on() -> None:
    elsewhere = SessionObject("sess_1", Served("small", "ear", "af_heart", VOICES, heard_languages=("de",)), 0)
    elsewhere.restore(session_with(language="en").kept())
    assert elsewhere.config().hints == Hints()


def test_an_engine_that_does_not_say_what_it_knows_is_asked_for_anything() -> None:
    assert known("Kannada", None, "engine") == "kn"
    with pytest.raises(UnknownLanguage):
        known("Klingonese", None, "engine")


@pytest.mark.parametrize(
    ("given", "tag"),
    [
        ("ger", "de"),
        ("deu", "de"),
        ("mandarin", "zh"),
        ("pt_BR", "pt-BR"),
        ("zh-Hant-TW", "zh-Hant-TW"),
        ("Castilian", "es"),
        ("yue", "yue"),
        ("und", None),
    ],
)
def test_tags(given: str, tag: str | None) -> None:
    assert tag_of(given) == tag
