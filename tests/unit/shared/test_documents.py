"""Configuration text to data."""

from typing import Any

import pytest

from shared.documents import DocumentFaults, read_document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("Yes", "Yes"), ("true", True), ("FALSE", False), ("~", None), ("", None), ("null", None),
        ("2026-01-01", "2026-01-01"), ("1:30", "1:30"), ("1_000", "1_000"), ("014", 14), ("0o14", 12), ("0x1F", 31),
        ("-3", -3), ("1e3", 1000.0), (".5", 0.5), ("1.50", 1.5), (".inf", float("inf")), ("'1'", "1"), ("!!str 1", "1"),
        ('"\\ud83d\\ude00"', "😀"),
    ],
)  # fmt: skip
def test_plain_values_follow_the_core_schema(text: str, value: Any) -> None:
    read = read_document(f"x: {text}").tree["x"]
    assert (read, type(read)) == (value, type(value))


def test_keys_are_text_and_lines_are_known() -> None:
    document = read_document("1: a\nb:\n  - c: &x {k: 1}\n  - *x\n")
    assert document.tree == {"1": "a", "b": [{"c": {"k": 1}}, {"k": 1}]}
    assert document.line(("b", 0, "c")) == 3
    assert document.line(("b", 7, "unknown")) == 2
    assert document.line(()) == 1


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("a: 1\n1: x\n'1': y", 3, "given twice"),
        ("a: [", 1, "broken YAML"),
        ("a: 1\n---\nb: 2", 2, "broken YAML"),
        ("a: !python/object x", 1, "unknown tag"),
        ("? [a]\n: 1", 1, "plain text as key"),
        ("a: " + "[" * 40 + "]" * 40, 1, "deep"),
        ("a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
            f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 10)}]\n" for n in range(6)
        ), 1, "values"),
        ('a: "\\ud800"', 1, "surrogates"),
        ("x" * 1_100_000, 1, "characters"),
    ],
)  # fmt: skip
def test_faults(text: str, line: int, expected: str) -> None:
    with pytest.raises(DocumentFaults, match=expected) as caught:
        read_document(text)
    assert caught.value.faults[0][1] >= line
