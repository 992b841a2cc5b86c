"""One real server for the whole run, and the tests that need it at its end."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.real_server import running

# How long an example takes says nothing on a machine that others use too.
settings.register_profile("without a clock", deadline=None)
settings.load_profile("without a clock")


def pytest_configure(config: pytest.Config) -> None:
    # Ray 2.60's own use of Pydantic, seen at its import.
    config.addinivalue_line("filterwarnings", "ignore:Using extra keyword arguments on `Field`")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs the real server comes last: started among the others, it would share two cores and Ray's ports with them."""
    items.sort(key=lambda item: (item.get_closest_marker("e2e") is not None, item.get_closest_marker("own_server") is None))


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that is ready, `http://127.0.0.1:PORT`. SPARKVOX_TEST_URL names one that is running already."""
    with running(tmp_path_factory.mktemp("server") / "log.txt") as url:
        yield url
