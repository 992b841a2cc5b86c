"""What is fetched before anything is deployed."""

import pytest

from serve_app import models, serving, weights, wiring
from serve_app.errors import SettingsError
from serve_app.settings import Settings

# Ray Serve's own modules, at their import.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def fetched(monkeypatch):
    names = []
    monkeypatch.setattr(models, "ensure", names.append)
    return names


def test_a_model_that_runs_here_is_fetched(fetched):
    weights.fetch(Settings.of({"profile": "fake", "llm.engine": "vllm", "llm.model": "organisation/model"}))
    assert fetched == ["organisation/model"]


def test_a_model_behind_an_endpoint_is_not_fetched(fetched):
    weights.fetch(Settings.of({"profile": "fake", "llm.engine": "openai", "llm.model": "organisation/model"}))
    assert fetched == []


def test_routes_to_an_engine_on_another_server_are_refused():
    settings = Settings.of({"profile": "fake", "stt.routes": {"kn": {"engine": "openai"}}})
    with pytest.raises(SettingsError, match="stt.routes cannot have the engine openai"):
        wiring.graph(settings)


def test_a_proxy_that_starts_slowly_is_not_killed_while_the_server_waits_for_it() -> None:
    from ray.serve._private.constants import HTTP_PROXY_TIMEOUT

    environment = serving.needed(Settings.of({"profile": "fake"}), "haproxy")
    assert float(environment["RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S"]) >= HTTP_PROXY_TIMEOUT
