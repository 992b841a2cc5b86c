"""Servers for the engines whose model runs elsewhere."""

from collections.abc import Iterator

import pytest

from deployments.engines.fake import FakeLanguageModel, FakeRecogniser, FakeTextToSpeech
from serve_app.listening import Listening
from tests.fake_server import fakes, serving


@pytest.fixture(scope="session")
def own_endpoint() -> Iterator[str]:
    """This project's own server over fakes that are told nothing: they echo."""
    engines = fakes(speech_to_text=Listening(FakeRecogniser()), language_model=FakeLanguageModel(), text_to_speech=FakeTextToSpeech())
    with serving(max_sessions=64, engines=engines) as address:
        yield f"{address}v1"


@pytest.fixture(scope="session")
def riva_address() -> Iterator[str]:
    from tests.engines.riva_server import RivaServer

    with RivaServer() as server:
        yield server.address
