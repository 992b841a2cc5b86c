from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from serve_app.kept import Copy, KeptSessions

ONE = Copy("sess_1", "anna", 1, 1, b"one")


def kept(*copies: Copy, most_bytes: int = 1000) -> KeptSessions:
    sessions = KeptSessions(60.0, most_bytes)
    assert all(sessions.keep(copy, 0.0) for copy in copies)
    return sessions


def test_a_session_is_taken_up_with_its_last_copy() -> None:
    sessions = kept(ONE, Copy("sess_1", "anna", 1, 2, b"two"))
    assert sessions.take("sess_1", "anna", 60.0) == Copy("sess_1", "anna", 2, 2, b"two")


def test_a_copy_that_comes_late_replaces_nothing() -> None:
    sessions = kept(Copy("sess_1", "anna", 1, 2, b"two"), ONE)
    assert sessions.take("sess_1", "anna", 0.0).data == b"two"


def test_another_key_finds_nothing_and_can_overwrite_nothing() -> None:
    sessions = kept(ONE)
    assert sessions.take("sess_1", "bob", 0.0) is None
    assert not sessions.keep(Copy("sess_1", "bob", 9, 1, b"bob's"), 0.0)
    assert sessions.take("sess_1", "anna", 0.0).data == b"one"


def test_the_earlier_connection_learns_that_the_session_was_taken_up() -> None:
    sessions = kept(ONE)
    taken = sessions.take("sess_1", "anna", 1.0)
    assert not sessions.keep(Copy("sess_1", "anna", 1, 7, b"late"), 2.0)
    assert sessions.keep(taken, 3.0)


def test_what_was_not_heard_of_for_too_long_is_forgotten() -> None:
    sessions = kept(ONE)
    assert sessions.take("sess_1", "anna", 60.1) is None
    assert (len(sessions), sessions.size) == (0, 0)


def test_what_was_heard_of_is_kept() -> None:
    sessions = kept(ONE)
    sessions.keep(ONE, 50.0)
    assert sessions.take("sess_1", "anna", 100.0) is not None


def test_a_session_that_has_ended_is_forgotten_unless_another_connection_has_it() -> None:
    sessions = kept(ONE)
    taken = sessions.take("sess_1", "anna", 0.0)
    sessions.forget(ONE)
    assert len(sessions) == 1
    sessions.forget(taken)
    assert len(sessions) == 0


def test_without_room_the_longest_unheard_of_goes() -> None:
    sessions = kept(Copy("a", "x", data=b"1234"), Copy("b", "x", data=b"1234"), most_bytes=10)
    sessions.keep(Copy("a", "x", data=b"1234"), 1.0)
    sessions.keep(Copy("c", "x", data=b"1234"), 2.0)
    assert sessions.take("b", "x", 2.0) is None and sessions.take("a", "x", 2.0) is not None


class KeptInAnyOrder(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.sessions, self.now = KeptSessions(10.0, 100), 0.0
        self.last: dict[str, int] = {}

    @rule(name=st.sampled_from("abc"), owner=st.sampled_from("xy"), connection=st.integers(1, 4), size=st.integers(0, 60))
    def keep(self, name: str, owner: str, connection: int, size: int) -> None:
        if self.sessions.keep(Copy(name, owner, connection, 1, bytes(size)), self.now):
            assert connection >= self.last.get(name, 0) or self.sessions._known(name) is None
            self.last[name] = connection

    @rule(name=st.sampled_from("abc"), owner=st.sampled_from("xy"))
    def take(self, name: str, owner: str) -> None:
        copy = self.sessions.take(name, owner, self.now)
        if copy is not None:
            assert copy.owner == owner and copy.connection == self.last[name] + 1
            self.last[name] = copy.connection

    @rule(seconds=st.floats(0, 8))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.sessions._forget_old(self.now)
        self.last = {name: connection for name, connection in self.last.items() if self.sessions._known(name) is not None}

    @invariant()
    def no_more_than_there_is_room_for(self) -> None:
        if hasattr(self, "sessions"):
            held = [copy for copy, _ in self.sessions._copies.values()]
            assert self.sessions.size == sum(len(copy.data) for copy in held) <= 100
            self.last = {name: number for name, number in self.last.items() if name in {copy.session_id for copy in held}}


TestKeptInAnyOrder = KeptInAnyOrder.TestCase
