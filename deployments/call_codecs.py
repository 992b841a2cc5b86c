"""What is asked of the language model and of text-to-speech, and what they answer, as bytes: text as JSON, samples as they are (int16,
little-endian)."""

from functools import partial
from typing import Any

import numpy as np
import orjson
from pydantic import TypeAdapter

from deployments.call_frames import Codec
from serve_app.engines import Prompt, ReplyEnd, ReplyPiece, Sound, Speech, TextDelta, ToolCallDelta, Word

LENGTH_BYTES = 4

_PROMPT: TypeAdapter[Prompt] = TypeAdapter(Prompt)
_SPEECH: TypeAdapter[Speech] = TypeAdapter(Speech)
_WORDS: TypeAdapter[tuple[Word, ...]] = TypeAdapter(tuple[Word, ...])
_PIECES: dict[str, TypeAdapter[Any]] = {kind.__name__: TypeAdapter(kind) for kind in (ToolCallDelta, ReplyEnd)}
_NAMED: TypeAdapter[tuple[str, dict[str, Any]]] = TypeAdapter(tuple[str, dict[str, Any]])
_TEXT, _OTHER = b"t", b"o"
_json = partial(orjson.dumps, option=orjson.OPT_SERIALIZE_NUMPY)
"""Times may be NumPy's."""


def _write_piece(piece: ReplyPiece) -> bytes:
    """A letter that says which; nearly all pieces are text."""
    if isinstance(piece, TextDelta):
        return _TEXT + piece.text.encode()
    return _OTHER + _json([type(piece).__name__, piece])


def _read_piece(payload: bytes) -> ReplyPiece:
    if payload[:1] == _TEXT:
        return TextDelta(payload[1:].decode())
    name, fields = _NAMED.validate_json(payload[1:])
    if name not in _PIECES:
        raise ValueError(f"{name} is no piece of a reply")
    piece: ReplyPiece = _PIECES[name].validate_python(fields)
    return piece


def _write_sound(sound: Sound) -> bytes:
    words = _json(sound.words)
    return len(words).to_bytes(LENGTH_BYTES, "big") + words + sound.pcm.astype("<i2", copy=False).tobytes()


def _read_sound(payload: bytes) -> Sound:
    end = LENGTH_BYTES + int.from_bytes(payload[:LENGTH_BYTES], "big")
    words = _WORDS.validate_json(payload[LENGTH_BYTES:end])
    return Sound(np.frombuffer(bytearray(payload[end:]), "<i2").astype(np.int16, copy=False), words)


REPLIES: Codec[Prompt, ReplyPiece] = Codec("reply", "the language model", _json, _PROMPT.validate_json, _write_piece, _read_piece)
SPEECHES: Codec[Speech, Sound] = Codec("speak", "text-to-speech", _json, _SPEECH.validate_json, _write_sound, _read_sound)
