"""What is there when a replica is ready is left alone by the garbage collector, what comes later is not."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from deployments.settled import settle


class Linked:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def unfrozen() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_is_there_is_not_looked_through_again() -> None:
    before = len(gc.get_objects())
    settle()
    assert gc.get_freeze_count() > before / 2
    assert len(gc.get_objects()) < before / 10


def test_cycles_that_come_later_are_found() -> None:
    settle()
    later = weakref.ref(Linked())
    assert later() is not None
    gc.collect()
    assert later() is None
