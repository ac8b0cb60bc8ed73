import uuid

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.ids import id_for_retry, uuid7


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_a_uuid7_is_one_and_carries_its_time(unix_ms: int, randomness: bytes) -> None:
    made = uuid.UUID(uuid7(unix_ms, randomness))
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == unix_ms
    assert str(made) == uuid7(unix_ms, randomness)


def test_uuid7_keeps_74_random_bits() -> None:
    ones, zeros = uuid7(0, b"\xff" * 10), uuid7(0, bytes(10))
    assert ones == "00000000-0000-7fff-bfff-ffffffffffff"
    assert zeros == "00000000-0000-7000-8000-000000000000"


@given(st.text(min_size=1), st.text(min_size=1), st.integers(0, 999))
def test_a_retry_has_the_same_id_and_nothing_else_has(key: str, source: str, index: int) -> None:
    made = id_for_retry(key, source, index)
    assert uuid.UUID(made).version == 5
    assert made == id_for_retry(key, source, index)
    assert made not in {
        id_for_retry(key, source, index + 1),
        id_for_retry(key, source + "x", index),
        id_for_retry(key + "x", source, index),
    }
