from collections.abc import Iterator

import pytest

from tests.clients.script import RealStage, Stage, fake_stage


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.e2e)])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """The fake server and the real one, one after the other."""
    if request.param == "real":
        yield RealStage(request.getfixturevalue("real_server"))
        return
    with fake_stage() as stage:
        yield stage
