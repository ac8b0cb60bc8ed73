"""The format of a spool file: one frame per request, so that a request is there whole or not at all.

A frame is the mark `kzs1`, the length of its body and the CRC-32 of its body (both unsigned, 32 bits, little-endian),
and the body: the request's records in MessagePack, each `[topic, key, value, [[header, value], …], size]`. The mark
makes it possible to find the next frame behind a damaged one.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import ormsgpack

from services.ingest.durable import OutgoingRecord

MARK = b"kzs1"
_HEAD = struct.Struct("<4sII")
_SEARCH_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame that ends at the offset `end`."""

    records: list[OutgoingRecord]
    end: int


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes from `start` to `end` that are no frame. `torn`: the file ends in the middle of the last one, which is
    what a death while writing leaves; nobody was told that it was kept.
    """

    start: int
    end: int
    torn: bool


def pack(records: Sequence[OutgoingRecord]) -> bytes:
    """The frame of one request."""
    body = ormsgpack.packb([[one.topic, one.key, one.value, one.headers, one.size] for one in records])
    return _HEAD.pack(MARK, len(body), zlib.crc32(body)) + body


def unpack(body: bytes) -> list[OutgoingRecord]:
    """The records of a frame's body."""
    return [
        OutgoingRecord(topic, key, value, [(name, content) for name, content in headers], size)
        for topic, key, value, headers, size in ormsgpack.unpackb(body)
    ]


def read_from(file: BinaryIO, start: int, end: int) -> Iterator[Frame | Damage]:
    """The frames between the offsets `start` and `end`, and what lies between them where something is damaged."""
    while start < end:
        body, torn = _body_at(file, start, end)
        if body is not None:
            start += _HEAD.size + len(body)
            yield Frame(unpack(body), start)
            continue
        following = _next_frame(file, start + 1, end)
        yield Damage(start, following, torn and following == end)
        start = following


def _body_at(file: BinaryIO, start: int, end: int) -> tuple[bytes | None, bool]:
    """The body of the frame at `start`; without one, whether it is merely cut off by `end`."""
    file.seek(start)
    head = file.read(min(_HEAD.size, end - start))
    if len(head) < _HEAD.size:
        return None, MARK.startswith(head[: len(MARK)])
    mark, length, checksum = _HEAD.unpack(head)
    if mark != MARK:
        return None, False
    if start + _HEAD.size + length > end:
        return None, True
    body = file.read(length)
    return (body, False) if zlib.crc32(body) == checksum else (None, False)


def _next_frame(file: BinaryIO, start: int, end: int) -> int:
    """Where the next whole frame begins, `end` if there is none."""
    while start < end:
        file.seek(start)
        block = file.read(min(_SEARCH_BYTES, end - start))
        if not block:
            return end
        found = block.find(MARK)
        if found < 0:
            # The mark may lie across the edge of two blocks.
            start += max(1, len(block) - len(MARK) + 1)
            continue
        if _body_at(file, start + found, end)[0] is not None:
            return start + found
        start += found + 1
    return end
