"""Engines say which languages they know, as primary tags."""

import pytest

from deployments.engines import create
from deployments.engines.fake import FakeRecogniser
from deployments.engines.routed import RoutedRecogniser
from deployments.metrics import CountedRecogniser
from deployments.stt import recogniser
from serve_app.engines import known_languages
from serve_app.listening_apart import speech_to_text
from serve_app.measures import NOWHERE
from serve_app.settings import Settings


@pytest.mark.parametrize(("name", "some"), [("moonshine", {"en"}), ("qwen3-asr", {"en", "de", "zh", "yue"})])
def test_an_engine_whose_model_is_known_says_so(name: str, some: set[str]) -> None:
    assert some <= set(known_languages(create("recogniser", name)) or ())


@pytest.mark.parametrize("name", ["fake", "openai"])
def test_another_does_not(name: str) -> None:
    options = {"base_url": "http://127.0.0.1:1/v1", "model": "m"} if name == "openai" else {}
    assert known_languages(create("recogniser", name, **options)) is None


def test_what_stands_around_it_says_the_same() -> None:
    routed = RoutedRecogniser(create("recogniser", "moonshine"), {"kn": FakeRecogniser(), "de-DE": FakeRecogniser()})
    assert known_languages(speech_to_text(CountedRecogniser(routed, NOWHERE))) == ("en", "kn", "de")
    assert known_languages(RoutedRecogniser(FakeRecogniser(), {"kn": FakeRecogniser()})) is None


def test_the_default_engine_knows_english_and_the_languages_of_the_routes() -> None:
    settings = Settings.of({"profile": "cpu", "stt.routes": {"de": "fake"}})
    assert known_languages(recogniser(settings.stt)) == ("en", "de")
