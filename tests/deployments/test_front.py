"""Who may come in, without Serve."""

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from deployments.guard import Guard
from serve_app.admission import Admission, Refused, is_loopback, origin_allowed


def knock(peer: str, beyond_loopback: bool) -> int:
    guarded = Guard(PlainTextResponse("come in"), beyond_loopback)
    return TestClient(guarded, client=(peer, 50_000)).get("/").status_code


@pytest.mark.parametrize("peer", ["192.0.2.7", "2001:db8::7"])
def test_other_machines_stay_outside(peer: str) -> None:
    assert knock(peer, beyond_loopback=False) == 403


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_comes_in(peer: str) -> None:
    assert knock(peer, beyond_loopback=False) == 200


def test_other_machines_come_in_where_that_was_said() -> None:
    assert knock("192.0.2.7", beyond_loopback=True) == 200


def test_a_name_is_no_loopback_address() -> None:
    assert not is_loopback("localhost.example")
    assert not is_loopback(None)


def test_places_are_given_back_however_a_session_ends() -> None:
    admission = Admission(1)
    with pytest.raises(KeyError), admission.session():
        raise KeyError
    with admission.session(), pytest.raises(Refused), admission.session():
        pass
    assert admission.sessions == 0


@pytest.mark.parametrize(
    ("origin", "allowed", "comes_in"),
    [
        (None, (), True),
        ("http://here:8000", (), True),
        ("http://there", (), False),
        ("null", (), False),
        ("http://there", ("http://there",), True),
        ("http://there", ("*",), True),
    ],
)
def test_pages_come_in_from_here_and_from_where_it_is_allowed(origin: str | None, allowed: tuple[str, ...], comes_in: bool) -> None:
    assert origin_allowed(origin, "here:8000", allowed) is comes_in
