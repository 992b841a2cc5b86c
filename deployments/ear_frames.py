"""The bytes on the socket between a gateway and its speech-to-text replica. One message a frame, self-delimited by the websocket:

    kind (1 byte) | length of the utterance's name in bytes (2 bytes, big-endian) | name, UTF-8 | payload

A name is the id of an item, which the client may choose: 64 characters are up to 256 bytes.

The payload of Audio is its samples, int16, little-endian; of End the traceparent of what waits for the text; of Drop nothing; of the others
JSON. `SUBPROTOCOL` names the version, so that two versions that meet refuse each other when they connect.
"""

from dataclasses import asdict
from enum import IntEnum
from typing import Any

import numpy as np
import orjson

from serve_app.engines import Audio, Begin, Drop, End, Failed, Final, Guess, Guessed, HearingMessage, HearingResult, Hints, Partial, Word
from serve_app.work import Work

SUBPROTOCOL = "sparkvox.ear.4"


class Kind(IntEnum):
    BEGIN = 0
    AUDIO = 1
    END = 2
    DROP = 3
    PARTIAL = 4
    FINAL = 5
    FAILED = 6
    GUESS = 7
    GUESSED = 8


class BadFrame(ValueError):
    """Not one of ours."""


def encode(message: HearingMessage | HearingResult) -> bytes:
    match message:
        case Begin(utterance, hints):
            return _frame(Kind.BEGIN, utterance, orjson.dumps(asdict(hints)))
        case Audio(utterance, pcm):
            return _frame(Kind.AUDIO, utterance, pcm.astype("<i2", copy=False).tobytes())
        case End(utterance, trace):
            return _frame(Kind.END, utterance, trace.encode())
        case Drop(utterance):
            return _frame(Kind.DROP, utterance)
        case Guess(utterance, at_s, trace):
            return _frame(Kind.GUESS, utterance, orjson.dumps({"at_s": at_s, "trace": trace}))
        case Guessed(utterance):
            return _frame(Kind.GUESSED, utterance, orjson.dumps(asdict(message)))
        case Partial(utterance, text, stable_chars):
            return _frame(Kind.PARTIAL, utterance, orjson.dumps({"text": text, "stable_chars": stable_chars}))
        case Final(utterance):
            return _frame(Kind.FINAL, utterance, orjson.dumps(asdict(message)))
        case Failed(utterance, reason):
            return _frame(Kind.FAILED, utterance, orjson.dumps({"reason": reason}))


def decode(frame: bytes) -> HearingMessage | HearingResult:
    """Raises `BadFrame`."""
    try:
        kind, length = frame[0], frame[1] << 8 | frame[2]
        return _decoded(kind, frame[3 : 3 + length].decode(), frame[3 + length :])
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise BadFrame(f"not a frame of {SUBPROTOCOL}: {error}") from error


def _frame(kind: int, utterance: str, payload: bytes = b"") -> bytes:
    name = utterance.encode()
    return bytes((kind,)) + len(name).to_bytes(2, "big") + name + payload


def _decoded(kind: int, utterance: str, payload: bytes) -> HearingMessage | HearingResult:
    if kind == Kind.AUDIO:
        return Audio(utterance, np.frombuffer(payload, "<i2").astype(np.int16, copy=False))
    if kind == Kind.END:
        return End(utterance, payload.decode())
    if kind == Kind.DROP:
        return Drop(utterance)
    fields: dict[str, Any] = orjson.loads(payload)
    match kind:
        case Kind.BEGIN:
            return Begin(utterance, Hints(**{**fields, "keywords": tuple(fields["keywords"]), "languages": tuple(fields["languages"])}))
        case Kind.PARTIAL:
            return Partial(utterance, **fields)
        case Kind.FINAL:
            return Final(**{**fields, "words": tuple(Word(**word) for word in fields["words"]), "work": Work(**fields["work"])})
        case Kind.GUESS:
            return Guess(utterance, **fields)
        case Kind.GUESSED:
            return Guessed(**{**fields, "work": Work(**fields["work"])})
        case Kind.FAILED:
            return Failed(utterance, **fields)
    raise BadFrame(f"kind {kind} is unknown")
