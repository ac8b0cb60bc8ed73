"""Ids for activities whose sender gave none."""

from uuid import UUID, uuid5

_NAMESPACE = UUID("5f0f7f57-5a3b-5d9c-9a52-6c2f5c7e1d11")


def uuid7(unix_ms: int, randomness: bytes) -> str:
    """A UUID version 7 (RFC 9562 §5.7) as text: 48 bits of milliseconds, then 74 of the 80 bits of `randomness`."""
    random_a = 0x7000 | (randomness[0] << 8 | randomness[1]) & 0x0FFF
    random_b = 0x80 | randomness[2] & 0x3F
    text = f"{unix_ms & 0xFFFFFFFFFFFF:012x}{random_a:04x}{random_b:02x}{randomness[3:10].hex()}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def id_for_retry(idempotency_key: str, source: str, index: int) -> str:
    """The id of the activity at `index` of a request with this `Idempotency-Key`: the same in every retry."""
    return str(uuid5(_NAMESPACE, f"{idempotency_key}\x1f{source}\x1f{index}"))
