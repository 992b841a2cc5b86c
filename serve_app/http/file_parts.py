"""Where one sound file ends inside another: recordings that were joined end to end (`cat a.mp3 b.mp3`), and chained Ogg streams.

A decoder takes the first part for the whole, or what follows for damage. A container that tells its length ends there; of the others, and
of one whose length was never written or is wrong, the next beginning of a file is looked for.
"""

import re
from collections.abc import Iterator

BEGINNING = re.compile(
    rb"(?:RIFF|RF64|RIFX)....WAVE"
    rb"|FORM....AIF[FC]"
    rb"|OggS\x00[\x02\x06]"
    rb"|fLaC[\x00\x80]\x00\x00\x22"
    rb"|\x1a\x45\xdf\xa3(?=.{1,48}(?:webm|matroska))"
    rb"|\x00\x00\x00[\x08-\xff]ftyp"
    rb"|ID3[\x02-\x04]\x00[\x00-\xf0][\x00-\x7f]{4}"
    rb"|#!AMR(?:-WB)?\n"
    rb"|caff\x00\x01\x00\x00"
    rb"|riff\x2e\x91\xcf\x11",
    re.DOTALL,
)
"""Marks long enough not to come up by chance within some megabytes of sound."""
LONGEST_BEGINNING = 64
SEARCHED_BYTES = 256 * 1024
"""At once: a search holds the interpreter, so all sessions, for its whole length (0.4 s for 25 MB)."""
SYNC = re.compile(rb"\xff[\xe2-\xfb]", re.DOTALL)
"""How a frame of MP3 or ADTS begins; too short to be looked for, enough where a file must begin."""
UNKNOWN = (0, 0xFFFFFFFF)
"""Lengths that writers leave who could not come back to write them."""
FIRST_OF_OGG_STREAM = 2


def parts(data: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of each file in `data`, in order. What stands before the first beginning or after the end of one is a part too where
    it may be sound of a kind that has no beginning to know it by: whoever decodes it finds out."""
    start = 0
    while start < len(data):
        end = max(_end(data, start), start + 1)
        yield start, end
        start = end if SYNC.match(data, end) else _next(data, end)


def _next(data: bytes, at: int) -> int:
    """Where the next file begins, from `at` on; the end of all where none does."""
    while at < len(data):
        if found := BEGINNING.search(data, at, at + SEARCHED_BYTES + LONGEST_BEGINNING):
            return found.start()
        at += SEARCHED_BYTES
    return len(data)


def _end(data: bytes, start: int) -> int:
    head = data[start : start + 12]
    if head[:4] in (b"RIFF", b"RIFX") and head[8:] == b"WAVE":
        return _end_of_chunks(data, start, "big" if head[:4] == b"RIFX" else "little", b"data")
    if head[:4] == b"FORM" and head[8:11] == b"AIF":
        return _end_of_chunks(data, start, "big", b"SSND")
    if head[:4] == b"OggS":
        return _end_of_pages(data, start)
    if head[4:8] == b"ftyp":
        return _end_of_boxes(data, start)
    return _next(data, start + len(head))


def _end_of_chunks(data: bytes, start: int, order: str, sound: bytes) -> int:
    """Of a RIFF file or one of its kin. The length of the whole is often wrong where that of the sound is not."""
    whole = _number(data[start + 4 : start + 8], order)
    at = start + 12
    while at + 8 <= len(data):
        length = _number(data[at + 4 : at + 8], order)
        if data[at : at + 4] == sound and (length in UNKNOWN or at + 8 + length > len(data)):
            return _next(data, at + 8)
        end = at + 8 + length + length % 2
        if data[at : at + 4] == sound:
            told = start + 8 + whole + whole % 2
            return min(max(end, told), len(data)) if told <= len(data) else min(end, len(data))
        at = end
    return len(data)


def _end_of_pages(data: bytes, start: int) -> int:
    """Of a chain's first link: the first pages of its streams come together, and those of the next link after them."""
    at, sound = start, False
    while at + 27 <= len(data):
        if data[at : at + 4] != b"OggS":
            if BEGINNING.match(data, at):
                return at
            at = data.find(b"OggS", at)
            if at < 0:
                return len(data)
            continue
        first = bool(data[at + 5] & FIRST_OF_OGG_STREAM)
        if first and sound:
            return at
        sound = sound or not first
        segments = data[at + 27 : at + 27 + data[at + 26]]
        at += 27 + len(segments) + sum(segments)
    return len(data)


def _end_of_boxes(data: bytes, start: int) -> int:
    at = start
    while at + 8 <= len(data):
        if at > start and BEGINNING.match(data, at):
            return at
        length, head = _number(data[at : at + 4], "big"), 8
        if length == 1:
            length, head = _number(data[at + 8 : at + 16], "big"), 16
        if length < head or at + length > len(data):  # to the end (0), cut off, or no box
            return _next(data, max(at, start + 8) + 1)
        at += length
    return len(data)


def _number(data: bytes, order: str) -> int:
    return int.from_bytes(data, "big" if order == "big" else "little")
