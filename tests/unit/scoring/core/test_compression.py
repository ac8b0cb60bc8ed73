"""Stored states: compressed where they are long, and read either way."""

from hypothesis import given
from hypothesis import strategies as st

from services.scoring.core.compression import LONG_BYTES, compress, decompress
from services.scoring.core.lead import LeadState
from services.scoring.core.profile import Profile

PACKED = st.builds(lambda text, times: b"[" + text.encode() * times, st.text(max_size=40), st.integers(0, 200))


@given(PACKED)
def test_what_was_compressed_comes_back(packed: bytes) -> None:
    stored = compress(packed)
    assert decompress(stored) == packed
    assert (stored == packed) == (len(packed) < LONG_BYTES)


def test_a_long_state_that_was_stored_as_it_is_can_be_read() -> None:
    latest = [{"id": f"activity-{number}", "source": "web"} for number in range(60)]
    state = LeadState(Profile(attributes={"latest": latest}), stages={})
    stored = state.pack()
    plain = decompress(stored)
    assert len(stored) < LONG_BYTES < len(plain)
    assert LeadState.unpack(plain) == LeadState.unpack(stored) == state
    assert LeadState.glance(plain) == LeadState.glance(stored)
