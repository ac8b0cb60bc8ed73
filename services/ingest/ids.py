"""Ids for activities whose sender gave none."""

import os
from datetime import datetime
from uuid import UUID, uuid5

_NAMESPACE = UUID("5f0f7f57-5a3b-5d9c-9a52-6c2f5c7e1d11")
_FIXED = 0xF << 76 | 0b11 << 62
_VERSION_7 = 0x7 << 76 | 0b10 << 62


def uuid7(unix_ms: int, randomness: bytes) -> str:
    """A UUID version 7 (RFC 9562 §5.7) as text: 48 bits of milliseconds, then 74 of the 80 bits of `randomness`."""
    value = (unix_ms & 0xFFFFFFFFFFFF) << 80 | int.from_bytes(randomness[:10])
    text = f"{value & ~_FIXED | _VERSION_7:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def id_for_retry(idempotency_key: str, source: str, index: int) -> str:
    """The id of the activity at `index` of a request with this `Idempotency-Key`: the same in every retry."""
    return str(uuid5(_NAMESPACE, f"{idempotency_key}\x1f{source}\x1f{index}"))


def new_id(received_at: datetime) -> str:
    """An id for an activity whose sender gave none."""
    return uuid7(int(received_at.timestamp() * 1_000), os.urandom(10))
