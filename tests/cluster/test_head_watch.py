"""A head that goes away and comes back, seen from a node that has joined it."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from cluster.children import CallFailed
from cluster.head_watch import PERIOD_S, HeadWatch, NewHead


class Head:
    """A port that listens, or does not."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.cluster: str | None = "one"
        self.times_asked = 0

    def close(self) -> None:
        self._socket.close()

    def comes_back(self, cluster: str | None) -> None:
        host, _, port = self.address.partition(":")
        self._socket = socket.create_server((host, int(port)))
        self.cluster = cluster

    def asked(self) -> str:
        self.times_asked += 1
        if self.cluster is None:
            raise CallFailed("it is up, but not ready yet")
        return self.cluster


class Node:
    def __init__(self, head: Head) -> None:
        self._now = 0.0
        self._watch = HeadWatch(head.address, "one", head.asked, lambda: self._now)

    def looks(self) -> None:
        self._now += PERIOD_S
        self._watch.look()


@pytest.fixture
def head() -> Iterator[Head]:
    with closing(Head()) as head:
        yield head


def test_a_head_that_was_never_away_is_not_asked(head: Head) -> None:
    node = Node(head)
    node.looks()
    node.looks()
    assert head.times_asked == 0


def test_a_head_that_comes_back_into_its_cluster_is_asked_once(head: Head) -> None:
    node = Node(head)
    head.close()
    node.looks()
    head.comes_back("one")
    for _ in range(3):
        node.looks()
    assert head.times_asked == 1


def test_a_head_that_begins_anew_ends_the_node_as_soon_as_it_is_ready(head: Head) -> None:
    node = Node(head)
    head.close()
    node.looks()
    head.comes_back(None)
    node.looks()
    head.cluster = "another"
    with pytest.raises(NewHead):
        node.looks()


def test_between_two_looks_nothing_is_tried(head: Head) -> None:
    watch = HeadWatch(head.address, "another", head.asked, lambda: 1.0)
    watch.look()
    head.close()
    watch.look()
    head.comes_back("one")
    watch.look()
    assert head.times_asked == 0
