import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.codec import MAX_DEPTH, MESSAGE_DEPTH, JsonFault, decode, encode, has_nul

BAD = {
    "empty": b"",
    "cut short": b'{"a": ',
    "two values": b"{} {}",
    "invalid UTF-8": b'{"a": "\xff"}',
    "UTF-8 of a surrogate": b'{"a": "\xed\xa0\x80"}',
    "lone surrogate": b'{"a": "\\ud800"}',
    "NaN": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "beyond a double": b'{"a": 1e999}',
    "beyond a double, negative": b'{"a": -1e999}',
    "single quotes": b"{'a': 1}",
    "comma at the end": b"[1,]",
    "a million levels": b"[" * 1_000_000,
    "deep": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "deep objects": b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
def test_what_is_no_json_of_ours_is_refused(body: bytes) -> None:
    with pytest.raises(JsonFault) as caught:
        decode(body)
    assert len(str(caught.value)) < 200


def test_the_deepest_allowed_nesting_passes() -> None:
    assert decode(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None


def test_a_message_of_ours_carries_what_was_posted_further_in() -> None:
    posted = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    carried = b'{"lead": {"attributes": {"a": [' + posted + b"]}}}"
    assert decode(carried, MESSAGE_DEPTH) is not None
    with pytest.raises(JsonFault, match="deeper than 32"):
        decode(carried)
    with pytest.raises(JsonFault, match="deeper than 64"):
        decode(b"[" * MAX_DEPTH + carried + b"]" * MAX_DEPTH, MESSAGE_DEPTH)


def test_brackets_inside_of_texts_do_not_count() -> None:
    assert decode(encode({"a": "[" * 100})) == {"a": "[" * 100}


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_what_is_encoded_decodes_to_the_same(value: object) -> None:
    assert decode(encode(value)) == value


@given(json_values)
def test_nul_is_found_wherever_it_stands(value: object) -> None:
    assert has_nul(value) == (b"\\u0000" in encode(value).replace(b"\\\\", b""))
