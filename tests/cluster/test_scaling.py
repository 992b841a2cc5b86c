from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.scaling import FULL, BySessions, ByWork, Held, for_sessions, for_work, next_to_go

HEAD, OTHER, THIRD = 1.0, 2.0, 3.0


def held(*sessions: int, node: float = HEAD, since: float = 0.0) -> list[Held]:
    """Replicas of one node, the oldest first."""
    return [Held(float(number), node, node == HEAD, since + order) for order, number in enumerate(sessions)]


def test_sessions_that_nearly_fill_the_replicas_bring_another() -> None:
    assert for_sessions(held(7), 0, 1, room=10) == 1
    assert for_sessions(held(8), 0, 1, room=10) == 2
    assert for_sessions(held(10, 10), 0, 2, room=10) == 3


def test_an_empty_replica_goes_when_it_is_the_next_to_go() -> None:
    assert for_sessions(held(3, 0), 0, 2, room=10) == 1


def test_an_empty_replica_stays_when_serve_would_stop_another() -> None:
    assert for_sessions(held(0, 3), 0, 2, room=10) == 2


def test_replicas_away_from_the_head_go_first_and_there_the_newest() -> None:
    head, other, third = held(0, 5), held(1, 2, node=OTHER), held(9, node=THIRD)
    assert {one.sessions for one in next_to_go(head + other + third)} == {2.0, 9.0}
    assert [one.sessions for one in next_to_go(head)] == [5.0]


def test_what_has_told_nothing_yet_is_not_taken() -> None:
    assert for_sessions(held(1), 1, 2, room=10) == 2


def test_what_does_not_run_yet_may_be_called_off() -> None:
    assert for_sessions(held(1), 0, 4, room=10) == 1
    assert for_sessions(held(1, 4), 0, 4, room=10) == 2


def test_the_last_replica_stays() -> None:
    assert for_sessions(held(0), 0, 1, room=10) == 1


REPLICAS = st.lists(st.tuples(st.integers(0, 10), st.sampled_from((HEAD, OTHER, THIRD))), min_size=1, max_size=8)


def one_order_of_serve(replicas: list[Held], fewest_first: list[float]) -> list[Held]:
    """Ray 2.60, `_get_replicas_to_stop`: away from the head first, then nodes by how many replicas of all deployments they have, which
    may be any order; on a node the newest first."""
    return sorted(replicas, key=lambda one: (one.head, fewest_first.index(one.node), -one.started_at))


@given(REPLICAS, st.permutations((HEAD, OTHER, THIRD)), st.integers(1, 12))
def test_whatever_serve_stops_no_replica_with_sessions_is_taken(
    replicas: list[tuple[int, float]], fewest_first: list[float], room: int
) -> None:
    running = [Held(float(sessions), node, node == HEAD, order) for order, (sessions, node) in enumerate(replicas)]
    wanted = for_sessions(running, 0, len(running), room)
    stopped = one_order_of_serve(running, fewest_first)[: max(0, len(running) - wanted)]
    assert not any(one.sessions for one in stopped)


@given(REPLICAS, st.integers(1, 12), st.integers(1, 12), st.integers(0, 2))
def test_there_is_always_room_for_those_who_are_there(replicas: list[tuple[int, float]], target: int, room: int, unknown: int) -> None:
    running = [Held(float(sessions), node, node == HEAD, order) for order, (sessions, node) in enumerate(replicas)]
    wanted = for_sessions(running, unknown, target, room)
    assert wanted >= 1 and wanted * room * FULL >= sum(one.sessions for one in running)


@pytest.mark.parametrize(
    ("calls", "tokens", "wanted"), [(0, 0, 1), (8, 0, 1), (9, 0, 2), (1, 5000, 2), (1, 12_001, 4), (40, 4000, 5)]
)
def test_work_is_shared_by_calls_and_by_the_tokens_that_wait(calls: int, tokens: int, wanted: int) -> None:
    assert for_work(calls, 8, tokens, 4000) == wanted


def series(*values: float) -> list[SimpleNamespace]:
    return [SimpleNamespace(timestamp=float(order), value=value) for order, value in enumerate(values)]


def test_the_latest_figures_count_and_a_replica_without_any_is_not_taken() -> None:
    metrics = {
        "sessions": {"a": series(9, 2), "b": series(4, 0)},
        "node": {"a": series(HEAD), "b": series(HEAD)},
        "head": {"a": series(1), "b": series(1)},
        "started_at": {"a": series(0), "b": series(1)},
    }
    ctx = SimpleNamespace(raw_metrics=metrics, running_replicas=["a", "b"], target_num_replicas=2)
    assert BySessions(room=10)(ctx) == (1, {})
    ctx.running_replicas = ["a", "b", "c"]
    ctx.target_num_replicas = 3
    assert BySessions(room=10)(ctx) == (3, {})


def test_queued_tokens_of_all_replicas_count() -> None:
    metrics = {"waiting_tokens": {"a": series(0, 9000), "b": series(3000)}, "calls": {"a": series(3)}}
    ctx = SimpleNamespace(raw_metrics=metrics, running_replicas=["a", "b"], total_num_requests=0)
    assert ByWork(calls=32, tokens=4000)(ctx) == (3, {})
    ctx.raw_metrics = None
    assert ByWork(calls=1)(ctx) == (1, {})


def test_calls_of_all_replicas_count_in_the_mean_and_none_of_one_that_is_gone() -> None:
    metrics = {"calls": {"a": series(0, 8), "b": series(2), "gone": series(100)}}
    ctx = SimpleNamespace(raw_metrics=metrics, running_replicas=["a", "b"], total_num_requests=0)
    assert ByWork(calls=2)(ctx) == (3, {})
