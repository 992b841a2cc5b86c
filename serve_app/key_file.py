"""Keys as they are kept: one a line of a file, `NAME:SHA256 LIMIT=VALUE ...`, and in the environment.

    # who may come in, and what each may have at most
    kitchen:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
    phone:fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9 sessions=2 audio_s_a_minute=300
"""

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from serve_app.access import Access, Key, digest_of
from serve_app.errors import SettingsError
from serve_app.limits import Limits
from serve_app.settings import Settings

KEY_VARIABLE = "SPARKVOX_API_KEY"
"""One key, or several with commas between them; what `sparkvox talk` sends too."""
SECRET_VARIABLE = "SPARKVOX_SIGNING_SECRET"
"""Signs ephemeral keys; without it a new one is made at every start, and ephemeral keys end with the server."""
SHORTEST = 16
"""Characters of a key or secret from the environment: shorter ones can be guessed."""

_LINE = re.compile(r"(?P<name>[\w.@-]+):(?P<digest>[0-9a-f]{64})(?P<limits>(\s+\w+=\S+)*)\s*")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""Characters that a subprotocol may have (RFC 9110, 5.6.2)."""


def access(settings: Settings, environment: Mapping[str, str]) -> Access:
    """Everything that is known of keys. Raises `SettingsError`."""
    file, limits = settings.gateway.keys_file, Limits(**settings.limits.model_dump())
    keys = (() if file is None else read(file)) + of_environment(environment)
    names = [key.name for key in keys]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SettingsError(f"there are several keys with the name {twice[0]}: give each its own, so that the log can tell them apart")
    secret = environment.get(SECRET_VARIABLE, "")
    if secret and len(secret) < SHORTEST:
        raise SettingsError(f"{SECRET_VARIABLE} is too short: give it {SHORTEST} random characters or more")
    signing = secret.encode() if secret else secrets.token_bytes(32)
    return Access(signing, tuple(replace(key, limits=key.limits.over(limits)) for key in keys), Key("anybody", "", limits))


def read(file: Path) -> tuple[Key, ...]:
    """Raises `SettingsError`."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the key file {file} cannot be read: {error}") from error
    return tuple(_key(line.strip(), f"{file}, line {number}") for number, line in enumerate(lines, 1) if _says_something(line))


def of_environment(environment: Mapping[str, str]) -> tuple[Key, ...]:
    """Raises `SettingsError`."""
    given = [key.strip() for key in environment.get(KEY_VARIABLE, "").split(",") if key.strip()]
    if any(len(key) < SHORTEST or not _TOKEN.fullmatch(key) for key in given):
        said = f"a key in {KEY_VARIABLE} is shorter than {SHORTEST} characters or has some that a key may not have"
        raise SettingsError(f"{said}: `sparkvox keys new NAME` makes one")
    return tuple(Key("environment" if number == 1 else f"environment-{number}", digest_of(key)) for number, key in enumerate(given, 1))


def append(file: Path, key: Key) -> None:
    """Makes the file, for its owner only, where there is none. Raises `SettingsError`."""
    if not _LINE.fullmatch(line := f"{key.name}:{key.digest}"):
        raise SettingsError(f"{key.name!r} is no name for a key: letters, digits and . _ @ - are")
    if file.exists() and any(known.name == key.name for known in read(file)):
        raise SettingsError(f"{file} has a key {key.name} already: take another name, or delete its line")
    try:
        before = file.read_text() if file.exists() else ""
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as opened:
            opened.write(f"{line}\n" if before.endswith("\n") or not before else f"\n{line}\n")
    except OSError as error:
        raise SettingsError(f"the key file {file} cannot be written: {error}") from error


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _key(line: str, where: str) -> Key:
    found = _LINE.fullmatch(line)
    if found is None:
        raise SettingsError(f"{where} is no key: it must be NAME:SHA256 LIMIT=VALUE ..., as `sparkvox keys new NAME` writes it")
    return Key(found["name"], found["digest"], Limits(**dict(_limits(found["limits"], where))))


def _limits(text: str, where: str) -> Iterator[tuple[str, Any]]:
    names = [one.name for one in fields(Limits)]
    for word in text.split():
        name, _, value = word.partition("=")
        if name not in names:
            raise SettingsError(f"{where}: {name} is no limit; {', '.join(names)} are")
        try:
            number = float(value) if name.endswith("_minute") else int(value)
        except ValueError:
            number = 0
        if not 0 < number < float("inf"):
            raise SettingsError(f"{where}: {name} must be a number above 0, not {value}")
        yield name, number
