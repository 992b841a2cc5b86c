"""The bytes between a gateway and a replica that it calls (call_line.py, call_server.py): frames, any number in one message of the socket.

    length of the payload (4 bytes) | kind (1) | number of the call (4) | payload        big-endian

| kind | from | payload |
| --- | --- | --- |
| CALL | gateway | length of the traceparent (1 byte), traceparent or nothing, request |
| CANCEL | gateway | |
| ITEM | replica | item |
| DONE | replica | |
| FAILED | replica | JSON: the error's name and its arguments |
| LOAD | replica, call 0 | how many calls the other gateways have with it (4 bytes) |
| LEAVING | replica, call 0 | it takes no new calls |

What requests and items look like is their `Codec`'s. `SUBPROTOCOL` names the version, so that two versions that meet refuse each other.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, NamedTuple, TypeVar

import orjson
from pydantic import TypeAdapter

from deployments.sockets import MAX_MESSAGE_BYTES, Place
from serve_app import errors
from serve_app.errors import EngineFailed, SparkvoxError

SUBPROTOCOL = "sparkvox.calls.1"
HEAD = struct.Struct(">IBI")
LARGEST_BYTES = MAX_MESSAGE_BYTES - HEAD.size
JOINED_BYTES = 1024 * 1024
"""A message is not made longer by a further frame than that: others wait behind it."""

LONGEST_REASON = 10_000
"""Characters of one argument of an error."""

Asked = TypeVar("Asked")
Item = TypeVar("Item")


class Kind(IntEnum):
    CALL = 0
    CANCEL = 1
    ITEM = 2
    DONE = 3
    FAILED = 4
    LOAD = 5
    LEAVING = 6


@dataclass(frozen=True, slots=True)
class _Failure:
    name: str
    args: tuple[str, ...]


_FAILURE = TypeAdapter(_Failure)


class BadFrame(ValueError):
    """Not one of ours."""


class Frame(NamedTuple):
    kind: Kind
    call: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Offer:
    """What a replica says of itself to a gateway that has no socket to it."""

    place: Place
    replica: str
    """Names it."""
    node: str
    """Ray's id of its node."""
    room: int
    """How many calls it works on at once."""


@dataclass(frozen=True, slots=True)
class Codec(Generic[Asked, Item]):
    """Requests and items of one deployment as bytes. What reads raises `ValueError`."""

    name: str
    """Of a call, in traces."""
    whose: str
    """Replicas', in errors."""
    write_asked: Callable[[Asked], bytes]
    read_asked: Callable[[bytes], Asked]
    write_item: Callable[[Item], bytes]
    read_item: Callable[[bytes], Item]


def frame(kind: Kind, call: int = 0, payload: bytes = b"") -> bytes:
    """Raises `EngineFailed` where it is too long for the socket."""
    if len(payload) > LARGEST_BYTES:
        raise EngineFailed(f"{len(payload)} bytes are too many for one piece; the most is {LARGEST_BYTES}")
    return HEAD.pack(len(payload), kind, call) + payload


def frames(message: bytes) -> Iterator[Frame]:
    """Raises `BadFrame`."""
    at = 0
    try:
        while at < len(message):
            length, kind, call = HEAD.unpack_from(message, at)
            at += HEAD.size + length
            if at > len(message):
                raise BadFrame(f"a frame of {length} bytes is cut off")
            yield Frame(Kind(kind), call, message[at - length : at])
    except (struct.error, ValueError) as error:
        raise BadFrame(f"not a message of {SUBPROTOCOL}: {error}") from error


def joined(every: Iterable[bytes]) -> Iterator[bytes]:
    """Few messages of many frames."""
    some: list[bytes] = []
    size = 0
    for one in every:
        if some and size + len(one) > JOINED_BYTES:
            yield b"".join(some)
            some, size = [], 0
        some.append(one)
        size += len(one)
    if some:
        yield b"".join(some)


def call_payload(trace: str, asked: bytes) -> bytes:
    return bytes((len(trace),)) + trace.encode() + asked


def of_call(payload: bytes) -> tuple[str, bytes]:
    """The traceparent and the request."""
    try:
        end = 1 + payload[0]
        return payload[1:end].decode(), payload[end:]
    except (IndexError, ValueError) as error:
        raise BadFrame(f"not a call: {error}") from error


def failure(error: SparkvoxError) -> bytes:
    """Whatever it was made of, because no other answer comes to its call. Arguments become text."""
    name = next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
    return orjson.dumps(_Failure(name, tuple(_told(one) for one in error.args)))


def of_failure(payload: bytes) -> SparkvoxError:
    """One of our errors, as it was raised; one that is not known here is `EngineFailed`, and so is what cannot be read."""
    try:
        told = _FAILURE.validate_json(payload)
    except ValueError as error:
        return EngineFailed(f"it failed, and how cannot be read: {error}")
    kind = getattr(errors, told.name, None)
    if isinstance(kind, type) and issubclass(kind, SparkvoxError):
        return kind(*told.args)
    return EngineFailed(*told.args)


def _told(argument: object) -> str:
    """Without halves of pairs, which no JSON holds."""
    return str(argument)[:LONGEST_REASON].encode(errors="replace").decode()
