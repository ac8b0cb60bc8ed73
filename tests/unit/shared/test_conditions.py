"""The language of conditions: operators, missing values, fields, patterns."""

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from shared.conditions import Block, compile_block, faults_of, look_up
from shared.conditions.patterns import compile_pattern, normalise_pattern

ABSENT = object()


def holds(value: Any, **operator: Any) -> bool:
    """Whether `{field: properties.x, OPERATOR: …}` holds for this value."""
    operator = {name.rstrip("_"): constant for name, constant in operator.items()}
    block = Block.model_validate({"all": [{"field": "properties.x", **operator}]})
    return compile_block(block)(SimpleNamespace(properties={} if value is ABSENT else {"x": value}))


@pytest.mark.parametrize(
    ("value", "operator", "expected"),
    [
        ("ＡＢＣ", {"equals": "abc"}, True),
        ("Straße", {"equals": "STRASSE"}, True),
        ("ｶﾞｽ", {"equals": "ガス"}, True),
        ("㈱サンプル", {"starts_with": "(株)"}, True),
        ("45", {"equals": 45}, False),
        (45, {"equals": "45"}, False),
        (45.0, {"equals": 45}, True),
        (True, {"equals": 1}, False),
        (1, {"equals": True}, False),
        (True, {"equals": True}, True),
        (0, {"equals": False}, False),
        (["a"], {"equals": "a"}, False),
        ("a", {"equals": None}, False),
        ("a", {"not_equals": "A"}, False),
        ("b", {"not_equals": "A"}, True),
        (45, {"not_equals": "45"}, True),
        ("B", {"in_": ["a", "b"]}, True),
        (["x", "B"], {"in_": ["a", "b"]}, True),
        (True, {"in_": [1]}, False),
        ([1], {"in_": [True]}, False),
        ("b", {"in_": []}, False),
        ("c", {"not_in": ["a", "b"]}, True),
        (["x", "B"], {"not_in": ["a", "b"]}, False),
        ("Price List", {"contains": "CE L"}, True),
        (["Price", "List"], {"contains": "price"}, True),
        (["Price List"], {"contains": "price"}, False),
        ([1, 2], {"contains": 2}, True),
        (12, {"contains": "1"}, False),
        ("12", {"contains": 1}, False),
        ("/Pricing", {"starts_with": "/pri"}, True),
        (["/pricing"], {"starts_with": "/pri"}, False),
        ("/Pricing", {"ends_with": "ING"}, True),
        (5, {"ends_with": "5"}, False),
        (46, {"gt": 45}, True),
        (45, {"gt": 45}, False),
        (45, {"gte": 45.0}, True),
        (44.9, {"lt": 45}, True),
        (45, {"lte": 45}, True),
        ("46", {"gt": 45}, False),
        (46, {"gt": "45"}, False),
        (True, {"gte": 0}, False),
        ("", {"exists": True}, True),
        (0, {"exists": True}, True),
        (None, {"exists": True}, False),
        (None, {"exists": False}, True),
        ("x", {"exists": False}, False),
    ],
)
def test_operators(value: Any, operator: dict[str, Any], expected: bool) -> None:
    assert holds(value, **operator) is expected


@pytest.mark.parametrize("value", [ABSENT, None])
@pytest.mark.parametrize(
    "operator",
    [
        {"equals": "a"}, {"not_equals": "a"}, {"in_": ["a"]}, {"not_in": ["a"]}, {"contains": "a"},
        {"starts_with": ""}, {"ends_with": ""}, {"matches": ""}, {"gt": 0}, {"gte": 0}, {"lt": 0}, {"lte": 0},
        {"exists": True},
    ],
)  # fmt: skip
def test_a_missing_value_fulfils_nothing(value: Any, operator: dict[str, Any]) -> None:
    assert not holds(value, **operator)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("課長|部長", "製造部 課長", True),
        ("MANAGER", "ｍａｎａｇｅｒ", True),
        ("^部長$", "営業部長", False),
        ("部長$", "部長\n", False),
        (r"\d+", "第１２回", True),
        ("（仮）", "社員(仮)", True),
        ("（仮", "社員（仮", True),
        ("㈱", "(株)サンプル", True),
        ("^㈱+$", "㈱㈱", True),
        ("．", "x", False),
        ("．", "a.b", True),
        ("[（－]", "-", True),
        ("[ａ-ｃ]", "B", True),
        (r"\（", "(", True),
        (r"\Q（+\E", "(+", True),
        ("か\u3099", "が", True),
        ("ｶﾞ", "ガ", True),
        ("ß", "ss", False),
        ("…", "...", True),
        ("＼", "\\", True),
    ],
)
def test_patterns(pattern: str, text: str, expected: bool) -> None:
    assert compile_pattern(pattern)(text) is expected


@pytest.mark.parametrize("pattern", ["(", "(?=x)", "a{2000}", r"(a)\1", "x" * 1_001])
def test_faulty_patterns(pattern: str) -> None:
    with pytest.raises(ValueError, match="expected a pattern"):
        compile_pattern(pattern)


def test_hostile_patterns_take_linear_time() -> None:
    assert not compile_pattern("(a*)*b")("a" * 50_000)


def test_a_plain_pattern_is_left_alone() -> None:
    assert normalise_pattern(r"^[a-z]+\.(co|ne)$") == r"^[a-z]+\.(co|ne)$"


def test_all_any_and_none_hold_together() -> None:
    test = compile_block(
        Block.model_validate(
            {
                "all": [{"field": "properties.a", "gte": 1}, {"field": "source", "equals": "web"}],
                "any": [{"field": "attributes.b.c", "equals": 1}, {"field": "identity.email_domain", "exists": True}],
                "none": [{"field": "properties.d", "equals": 1}, {"field": "properties.e", "equals": 1}],
            }
        )
    )

    def facts(**changes: Any) -> SimpleNamespace:
        base = {"properties": {"a": 1}, "source": "WEB", "attributes": {"b": {"c": 1}}, "email_domain": None}
        return SimpleNamespace(**(base | changes))

    assert test(facts())
    assert not test(facts(source="mail"))
    assert not test(facts(attributes={}))
    assert test(facts(attributes={}, email_domain="x.example"))
    assert not test(facts(properties={"a": 1, "e": 1}))


def test_a_block_without_conditions_always_holds() -> None:
    assert compile_block(Block())(SimpleNamespace())


def test_a_whole_key_comes_before_an_inner_one() -> None:
    assert look_up({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert look_up({"a": {"b.c": 3}}, "a.b.c") == 3
    assert look_up({"a": [1]}, "a.0") is None


def test_faults_carry_paths_without_the_names_of_alternatives() -> None:
    with pytest.raises(ValidationError) as caught:
        Block.model_validate({"any": [{"did": "Bad", "within": "1mo"}, {"field": "x", "in": "a"}], "none": []})
    assert [fault.where for fault in faults_of(caught.value)] == ["any[0].did", "any[0].within", "any[1].in", "none"]
