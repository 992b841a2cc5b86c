from collections.abc import Iterator

import pytest

from tests.models.archive_server import ArchiveServer, serving_archives


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveServer]:
    monkeypatch.setattr("serve_app.download.PAUSE_S", 0.0)
    with serving_archives() as server:
        yield server
