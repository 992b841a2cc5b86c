"""Models and voices as clients read them that show or sort them."""

from collections.abc import AsyncIterator

import httpx
import pytest
from openai import AsyncOpenAI

from deployments.engines.fake import FakeRecogniser, FakeTextToSpeech
from serve_app.engines import Engines
from serve_app.listening import Listening
from tests.fake_server import VOICES, fakes


class HearsSome(FakeRecogniser):
    languages = ("en", "de")


class SpeaksEnglish(FakeTextToSpeech):
    languages = ("en",)


@pytest.fixture
def engines() -> Engines:
    return fakes(speech_to_text=Listening(HearsSome()), text_to_speech=SpeaksEnglish(VOICES))


@pytest.fixture
async def plain(client: AsyncOpenAI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=str(client.base_url)) as plain:
        yield plain


async def test_a_client_that_reads_voices_finds_them_and_one_that_reads_data_too(plain: httpx.AsyncClient) -> None:
    listed = (await plain.get("audio/voices")).json()
    assert listed["voices"] == listed["data"]
    assert {voice["id"]: voice["name"] for voice in listed["voices"]} == {name: name for name in VOICES}
    assert {voice["language"] for voice in listed["voices"]} == {"en"}
    assert [voice["id"] for voice in listed["voices"] if voice["default"]] == ["af_heart"]


async def test_each_model_says_what_it_is_for(plain: httpx.AsyncClient) -> None:
    models = {model["id"]: model for model in (await plain.get("models")).json()["data"]}
    assert {name: (model["task"], model["language"]) for name, model in models.items()} == {
        "small": ("text-generation", None),
        "ear": ("automatic-speech-recognition", ["de", "en"]),
        "fake": ("text-to-speech", ["en"]),
    }
    assert [name for name, model in models.items() if "voices" in model or "sample_rate" in model] == ["fake"]
    for name, model in models.items():
        assert (await plain.get(f"models/{name}")).json() == model


@pytest.mark.parametrize(
    ("task", "names"),
    [("text-to-speech", ["fake"]), ("automatic-speech-recognition", ["ear"]), ("text-generation", ["small"]), ("other", [])],
)
async def test_models_of_one_task(task: str, names: list[str], plain: httpx.AsyncClient) -> None:
    assert [model["id"] for model in (await plain.get("models", params={"task": task})).json()["data"]] == names


async def test_models_that_speak_are_listed_for_pages_that_choose_one(plain: httpx.AsyncClient) -> None:
    assert [model["id"] for model in (await plain.get("audio/models")).json()["models"]] == ["fake"]


async def test_a_wyoming_bridge_finds_the_voices_of_the_model_that_speaks(plain: httpx.AsyncClient) -> None:
    """It asks which server this is first, and must take it for none of those whose voices it would make up."""
    assert (await plain.get("readyz")).status_code == 404
    assert (await plain.get("../../health")).text == "OK"
    model = (await plain.get("models/fake")).json()
    assert [voice["name"] for voice in model["voices"]] == list(VOICES)
    assert model["sample_rate"] == 24_000


async def test_the_official_client_takes_what_it_does_not_know(client: AsyncOpenAI) -> None:
    model = await client.models.retrieve("ear")
    assert (model.id, model.owned_by, model.task) == ("ear", "sparkvox", "automatic-speech-recognition")
