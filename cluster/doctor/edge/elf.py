"""What a shared library is made for and what it wants, out of its ELF header and dynamic section (System V ABI, chapters 4 and 5).

Enough for 64-bit little-endian Linux, which is all that this project runs on; anything else gives None.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MACHINES = {0x3E: "x86_64", 0xB7: "aarch64", 0x03: "i686", 0x28: "armv7l"}
NULL, NEEDED, STRING_TABLE = 0, 1, 5
"""d_tag."""
LOAD, DYNAMIC = 1, 2
"""p_type."""
LONGEST_NAME = 256


@dataclass(frozen=True, slots=True)
class Library:
    machine: str
    needed: tuple[str, ...]
    """libcudart.so.13, libc.so.6, ..."""


@dataclass(frozen=True, slots=True)
class _Segment:
    kind: int
    offset: int
    address: int
    size: int


def library(path: Path) -> Library | None:
    """None where the file is none, or a kind of its own."""
    try:
        with path.open("rb") as file:
            header = file.read(64)
            if header[:6] != b"\x7fELF\x02\x01":
                return None
            (machine,) = struct.unpack_from("<H", header, 18)
            segments = _segments(file, header)
            return Library(MACHINES.get(machine, hex(machine)), tuple(_needed(file, segments)))
    except (OSError, struct.error):
        return None


def _segments(file: BinaryIO, header: bytes) -> list[_Segment]:
    (at,) = struct.unpack_from("<Q", header, 32)
    each, count = struct.unpack_from("<HH", header, 54)
    file.seek(at)
    table = file.read(each * count)
    found = []
    for number in range(count):
        kind, _, offset, address, _, size = struct.unpack_from("<IIQQQQ", table, number * each)
        found.append(_Segment(kind, offset, address, size))
    return found


def _needed(file: BinaryIO, segments: list[_Segment]) -> list[str]:
    entries = [entry for segment in segments if segment.kind == DYNAMIC for entry in _entries(file, segment)]
    strings = next((value for tag, value in entries if tag == STRING_TABLE), None)
    if strings is None:
        return []
    loaded = (one for one in segments if one.kind == LOAD and 0 <= strings - one.address < one.size)
    at = next((one.offset + strings - one.address for one in loaded), strings)
    return [_name(file, at + value) for tag, value in entries if tag == NEEDED]


def _entries(file: BinaryIO, segment: _Segment) -> list[tuple[int, int]]:
    file.seek(segment.offset)
    data = file.read(segment.size - segment.size % 16)
    entries: list[tuple[int, int]] = []
    for tag, value in struct.iter_unpack("<QQ", data):
        if tag == NULL:
            break
        entries.append((tag, value))
    return entries


def _name(file: BinaryIO, at: int) -> str:
    file.seek(at)
    return file.read(LONGEST_NAME).split(b"\0")[0].decode("ascii", "replace")
