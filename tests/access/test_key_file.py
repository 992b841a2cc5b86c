"""Keys as they are kept, and the command that makes them."""

import argparse
import stat
from pathlib import Path

import pytest

from serve_app import key_file, keys_command
from serve_app.access import digest_of
from serve_app.errors import SettingsError
from serve_app.limits import Limits
from serve_app.settings import Settings

KEY = "sk-of-the-kitchen-0123456789"
LINE = f"kitchen:{digest_of(KEY)}"
DEFAULTS = {"limits.sessions": 5, "limits.audio_s_a_minute": 60}


def keys(*words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    keys_command.add_arguments(parser)
    return keys_command.run(parser.parse_args([str(word) for word in words]))


def settings(file: Path | None = None) -> Settings:
    return Settings.of({"profile": "fake", "gateway.keys_file": file, **DEFAULTS})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sparkvox.keys"


def test_a_new_key_is_shown_once_and_opens_the_server(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert keys("new", "kitchen", "--file", file) == 0
    shown = capsys.readouterr()
    secret = shown.out.strip()
    assert secret.startswith("sk-")
    assert secret not in shown.err
    assert secret not in file.read_text()
    assert key_file.access(settings(file), {}).caller(secret, 0).key.name == "kitchen"


def test_the_file_is_for_its_owner_only(file: Path) -> None:
    keys("new", "kitchen", "--file", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_keys_are_listed_without_their_hashes(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys("new", "kitchen", "--file", file)
    keys("new", "phone", "--file", file)
    file.write_text(file.read_text().strip() + " sessions=2\n")
    capsys.readouterr()
    keys("list", "--file", file)
    first, second = capsys.readouterr().out.splitlines()
    assert (first.split()[0], first.endswith("no limits of its own")) == ("kitchen", True)
    assert (second.split()[0], second.endswith("sessions=2")) == ("phone", True)
    assert all(key.digest not in first + second for key in key_file.read(file))


def test_a_file_that_somebody_edited_is_appended_to_as_a_line_of_its_own(file: Path) -> None:
    file.write_text(f"{LINE} sessions=2")
    keys("new", "phone", "--file", file)
    assert [key.name for key in key_file.read(file)] == ["kitchen", "phone"]


@pytest.mark.parametrize(("name", "said"), [("kitchen", "has a key kitchen already"), ("two words", "is no name"), ("a:b", "is no name")])
def test_a_name_is_one_word_and_its_own(name: str, said: str, file: Path) -> None:
    keys("new", "kitchen", "--file", file)
    with pytest.raises(SettingsError, match=said):
        keys("new", name, "--file", file)


def test_a_line_may_say_what_its_key_may_have_and_the_settings_say_the_rest(file: Path) -> None:
    file.write_text(f"# who may come in\n\n{LINE}  sessions=2 requests=3\n")
    (key,) = key_file.access(settings(file), {}).keys
    assert key.limits == Limits(sessions=2, requests=3, audio_s_a_minute=60)


def test_without_keys_the_limits_of_the_settings_hold_for_anybody() -> None:
    assert key_file.access(settings(), {}).anybody.limits == Limits(sessions=5, audio_s_a_minute=60)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (KEY, "line 1 is no key"),
        ("kitchen:abc", "line 1 is no key"),
        (f"{LINE} fast", "line 1 is no key"),
        (f"{LINE} session=2", "session is no limit; sessions, requests, audio_s_a_minute are"),
        (f"{LINE} sessions=0", "sessions must be a number above 0, not 0"),
        (f"{LINE} sessions=some", "sessions must be a number above 0, not some"),
        (f"{LINE} audio_s_a_minute=inf", "must be a number above 0, not inf"),
        (f"{LINE}\n{LINE}", "several keys with the name kitchen"),
    ],
)
def test_a_line_that_is_wrong_is_refused_without_showing_it(line: str, said: str, file: Path) -> None:
    file.write_text(line)
    with pytest.raises(SettingsError, match=said) as refused:
        key_file.access(settings(file), {})
    assert KEY not in str(refused.value)


def test_a_file_that_is_not_there_is_no_server_without_keys(file: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        key_file.access(settings(file), {})


def test_the_environment_may_hold_several_keys() -> None:
    access = key_file.access(settings(), {"SPARKVOX_API_KEY": f"{KEY}, another-key-of-somebody"})
    assert access.caller(KEY, 0).key.name == "environment"
    assert access.caller("another-key-of-somebody", 0).key.name == "environment-2"


@pytest.mark.parametrize("key", ["k3y", "long enough but with spaces", "long-enough-but-schlüssel"])
def test_a_key_that_can_be_guessed_or_is_no_token_is_refused(key: str) -> None:
    with pytest.raises(SettingsError, match="SPARKVOX_API_KEY") as refused:
        key_file.access(settings(), {"SPARKVOX_API_KEY": key})
    assert key not in str(refused.value)


def test_ephemeral_keys_live_as_long_as_the_secret_that_signed_them() -> None:
    kept = {"SPARKVOX_SIGNING_SECRET": "a secret of the house"}
    assert key_file.access(settings(), kept).secret == key_file.access(settings(), kept).secret
    assert key_file.access(settings(), {}).secret != key_file.access(settings(), {}).secret
    with pytest.raises(SettingsError, match="too short"):
        key_file.access(settings(), {"SPARKVOX_SIGNING_SECRET": "short"})
