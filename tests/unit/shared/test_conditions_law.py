"""Operators agree with the oracle on random values and constants."""

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.conditions import Block, compile_block
from tests.oracle.conditions import operate
from tests.properties import few

TEXTS = st.one_of(
    st.sampled_from(
        ["", "a", "A", "ａ", "ß", "SS", "ss", "ﬁ", "FI", "1", "１", "true", "㈱", "(株)", "ｶﾞ", "ガ", "İ", "i̇"]
    ),
    st.text(max_size=3),
)
SCALARS = st.one_of(
    TEXTS, st.booleans(), st.integers(-2, 2), st.sampled_from([0.0, -0.0, 1.0, 1.5, 2**53 + 1, 2.0**53])
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.just({"a": 1}))
ONE = st.sampled_from(["equals", "not_equals", "contains", "starts_with", "ends_with", "gt", "gte", "lt", "lte"])
SEVERAL = st.sampled_from(["in", "not_in"])


@few(150)
@given(VALUES, st.one_of(st.tuples(ONE, SCALARS), st.tuples(SEVERAL, st.lists(SCALARS, max_size=3))))
def test_operators_agree_with_the_oracle(value: Any, operation: tuple[str, Any]) -> None:
    name, constant = operation
    test = compile_block(Block.model_validate({"all": [{"field": "properties.x", name: constant}]}))
    assert test(SimpleNamespace(properties={"x": value})) is operate(name, value, constant)
