"""Who is at the door: API keys, and ephemeral keys that a server gives to those who have one. Pure: the time is an argument.

    key file, environment ──> Access ──caller(presented, now)──> Caller: whose key, what session it brings
                                │
                                └────ephemeral(...)────> ek_..., signed, checked by every replica without asking another

Only hashes of keys are kept. SHA-256 without salt or stretching will do, because a key of `new_key` has 256 random bits: there is no
list of likely ones to hash.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from itsdangerous import BadData, URLSafeSerializer

from serve_app.errors import SparkvoxError
from serve_app.limits import Limits

KEY_PREFIX, EPHEMERAL_PREFIX = "sk-", "ek_"
SUBPROTOCOL_PREFIX = "openai-insecure-api-key."
MAX_EPHEMERAL_CHARS = 7_000
"""websockets, which uvicorn uses, takes header lines of up to 8192 bytes, and other subprotocols have to fit in the same line."""


class WrongKey(SparkvoxError):
    """No key, or not a key of this server. Its sentence never holds the key."""


class SessionTooLong(SparkvoxError):
    """An ephemeral key cannot carry that much."""


@dataclass(frozen=True, slots=True)
class Key:
    name: str
    digest: str
    """SHA-256 of the key, in hexadecimal; empty: no key at all."""
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Caller:
    key: Key
    """For an ephemeral key the one that it was made with, whose limits it shares."""
    ephemeral: bool = False
    session: Mapping[str, Any] | None = None
    """What the ephemeral key carries, in the shape of a `session.update`."""


@dataclass(frozen=True, slots=True)
class Access:
    secret: bytes = field(repr=False)
    """Signs ephemeral keys; the same in every replica."""
    keys: tuple[Key, ...] = ()
    """None: whoever reaches the server may come in."""
    anybody: Key = Key("anybody", "")
    """Whoever comes in without a key, where there are none."""

    def caller(self, presented: str | None, now: float) -> Caller:
        """`presented`: what the client gave, `now`: seconds since 1970. Raises `WrongKey`."""
        if presented is not None and presented.startswith(EPHEMERAL_PREFIX):
            return self._ephemeral_caller(presented.removeprefix(EPHEMERAL_PREFIX), now)
        if not self.keys:
            return Caller(self.anybody)
        if presented is None:
            raise WrongKey("No API key was given. Send it as `Authorization: Bearer KEY`.")
        return Caller(self._known(digest_of(presented)))

    def ephemeral(self, key: Key, session: Mapping[str, Any], expires_at: int) -> str:
        """A key that opens sessions until `expires_at` (seconds since 1970), each beginning as `session`. Raises `SessionTooLong`."""
        signed = self._serializer.dumps({"key": key.digest, "until": expires_at, "session": session})
        text = EPHEMERAL_PREFIX + (signed if isinstance(signed, str) else signed.decode())
        if len(text) > MAX_EPHEMERAL_CHARS:
            most = f"the most is {MAX_EPHEMERAL_CHARS}, because it travels in a header"
            raise SessionTooLong(f"The session makes a key of {len(text)} characters; {most}. Send what is long in a session.update.")
        return text

    def _ephemeral_caller(self, signed: str, now: float) -> Caller:
        try:
            carried = self._serializer.loads(signed)
        except BadData as error:
            raise WrongKey("The ephemeral key is not one of this server.") from error
        if now >= carried["until"]:
            raise WrongKey("The ephemeral key has expired. Ask /v1/realtime/client_secrets for another one.")
        return Caller(self._known(carried["key"]), ephemeral=True, session=carried["session"])

    def _known(self, digest: str) -> Key:
        """Looks at every key: how long it takes tells nothing of which one fits."""
        fitting = [key for key in self.keys or (self.anybody,) if hmac.compare_digest(key.digest, digest)]
        if not fitting:
            raise WrongKey("The API key is not one of this server.")
        return fitting[0]

    @property
    def _serializer(self) -> URLSafeSerializer:
        return URLSafeSerializer(self.secret, salt="sparkvox.client_secret", signer_kwargs={"digest_method": hashlib.sha256})


def new_key() -> str:
    return KEY_PREFIX + secrets.token_urlsafe(32)


def digest_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def presented(authorization: str | None, api_key: str | None, subprotocols: Sequence[str]) -> str | None:
    """The key that a client gave: as a bearer, in the `api-key` header of Azure's clients, or, in browsers, which can set no headers on a
    websocket, as a subprotocol."""
    scheme, _, bearer = (authorization or "").strip().partition(" ")
    if scheme.lower() == "bearer" and bearer.strip():
        return bearer.strip()
    if api_key:
        return api_key
    return next((one.removeprefix(SUBPROTOCOL_PREFIX) for one in subprotocols if one.startswith(SUBPROTOCOL_PREFIX)), None)
