import pytest

from tests.clients.node_client import installed


@pytest.fixture(scope="session")
def node() -> str:
    """Node's program, once the packages of tests/clients/node are installed."""
    return installed()
