"""Who a caller is, from what it presents and the time."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.access import MAX_EPHEMERAL_CHARS, Access, Caller, Key, SessionTooLong, WrongKey, digest_of, new_key, presented
from serve_app.limits import Limits

NOW = 1_800_000_000
SECRET = b"a secret of the server"
KITCHEN, PHONE = new_key(), new_key()
KEYS = (Key("kitchen", digest_of(KITCHEN)), Key("phone", digest_of(PHONE), Limits(sessions=1)))
KEYED = Access(SECRET, KEYS)
KEYLESS = Access(SECRET)
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def ephemeral(session: dict[str, object] | None = None, until: int = NOW + 600) -> str:
    return KEYED.ephemeral(KEYS[1], session or {}, until)


def test_each_key_is_known_by_its_name() -> None:
    assert KEYED.caller(KITCHEN, NOW) == Caller(KEYS[0])
    assert KEYED.caller(PHONE, NOW) == Caller(KEYS[1])


def test_where_there_is_a_key_everybody_needs_one() -> None:
    with pytest.raises(WrongKey, match="No API key"):
        KEYED.caller(None, NOW)


def test_where_there_is_no_key_anything_will_do() -> None:
    assert KEYLESS.caller(None, NOW).key.name == "anybody"
    assert KEYLESS.caller("none", NOW).key.name == "anybody"


@given(st.text())
def test_whatever_else_is_presented_is_wrong(text: str) -> None:
    for wrong in (text, f"ek_{text}", f"{KITCHEN}{text}" if text else "", digest_of(KITCHEN)):
        with pytest.raises(WrongKey) as refused:
            KEYED.caller(wrong, NOW)
        assert KITCHEN not in str(refused.value)


def test_an_ephemeral_key_brings_its_session_and_shares_the_limits_of_the_key_that_made_it() -> None:
    session = {"type": "realtime", "instructions": "Sing.", "tools": [], "prompt": None}
    assert KEYED.caller(ephemeral(session), NOW) == Caller(KEYS[1], ephemeral=True, session=session)


def test_an_ephemeral_key_ends_at_its_second() -> None:
    key = ephemeral(until=NOW + 10)
    assert KEYED.caller(key, NOW + 9.9).ephemeral
    with pytest.raises(WrongKey, match="expired"):
        KEYED.caller(key, NOW + 10)


def test_an_ephemeral_key_ends_with_the_key_that_made_it() -> None:
    with pytest.raises(WrongKey):
        Access(SECRET, KEYS[:1]).caller(ephemeral(), NOW)


def test_an_ephemeral_key_of_a_server_without_keys_does_not_open_one_that_has_some() -> None:
    key = KEYLESS.ephemeral(KEYLESS.anybody, {}, NOW + 600)
    assert KEYLESS.caller(key, NOW).ephemeral
    with pytest.raises(WrongKey):
        KEYED.caller(key, NOW)


def test_ephemeral_keys_are_checked_by_every_replica_and_by_no_other_server() -> None:
    assert Access(SECRET, KEYS).caller(ephemeral(), NOW).ephemeral
    with pytest.raises(WrongKey, match="not one of this server"):
        Access(b"another secret", KEYS).caller(ephemeral(), NOW)


def test_an_ephemeral_key_that_was_changed_is_no_key() -> None:
    key = ephemeral({"instructions": "Sing."})
    for at in range(len("ek_"), len(key) - 1):  # the last character has bits that mean nothing
        changed = key[:at] + ("A" if key[at] != "A" else "B") + key[at + 1 :]
        with pytest.raises(WrongKey):
            KEYED.caller(changed, NOW)


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=200), max_size=5))
def test_keys_can_be_subprotocols(session: dict[str, object]) -> None:
    for key in (new_key(), ephemeral(session)):
        assert TOKEN.fullmatch(f"openai-insecure-api-key.{key}")


def test_a_session_that_is_too_long_for_a_header_is_refused() -> None:
    assert len(ephemeral({"instructions": "Be brief. " * 5000})) < MAX_EPHEMERAL_CHARS  # much of the same is compressed
    with pytest.raises(SessionTooLong, match=r"session\.update"):
        ephemeral({"instructions": "".join(chr(0x4E00 + n) for n in range(5000))})


def test_neither_keys_nor_the_secret_are_shown() -> None:
    shown = repr(KEYED)
    assert KITCHEN not in shown
    assert SECRET.decode() not in shown


@pytest.mark.parametrize(
    ("authorization", "api_key", "subprotocols", "key"),
    [
        ("Bearer k", None, (), "k"),
        ("bearer  k ", None, (), "k"),
        ("Basic azpr", None, (), None),
        ("Bearer ", "a", (), "a"),
        (None, "a", (), "a"),
        (None, None, ("realtime", "openai-insecure-api-key.p", "openai-beta.realtime-v1"), "p"),
        (None, None, ("realtime",), None),
        ("Bearer k", "a", ("openai-insecure-api-key.p",), "k"),
    ],
)
def test_a_key_comes_as_a_bearer_or_in_a_header_or_as_a_subprotocol(
    authorization: str | None, api_key: str | None, subprotocols: tuple[str, ...], key: str | None
) -> None:
    assert presented(authorization, api_key, subprotocols) == key
