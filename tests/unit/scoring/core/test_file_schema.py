"""The JSON Schema that editors use: the loader's own shapes, committed, and no stricter than the loader."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from services.scoring.core.file_schema import file_schema, render
from services.scoring.core.loader import model_from
from shared.documents import read_document
from tests.properties import few
from tests.unit.scoring.core import strategies

ROOT = Path(__file__).parents[4]
COMMITTED = ROOT / "config" / "schema" / "model.json"
SHIPPED = [ROOT / "config" / "scoring.yaml", *sorted((ROOT / "config" / "examples").glob("*/model.yaml"))]
SCHEMA = Draft202012Validator(file_schema())


def test_the_committed_schema_is_the_generated_one() -> None:
    assert COMMITTED.read_bytes() == render(), (
        "make it anew: python -m services.scoring.core.file_schema > config/schema/model.json"
    )
    Draft202012Validator.check_schema(file_schema())


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_shipped_models_fit_and_name_the_schema(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    SCHEMA.validate(read_document(text).tree)
    hint = next(line for line in text.splitlines() if line.startswith("# yaml-language-server: $schema="))
    assert (path.parent / hint.partition("$schema=")[2]).resolve() == COMMITTED


@few(100)
@given(strategies.models())
def test_what_the_loader_takes_the_schema_takes(tree: dict[str, Any]) -> None:
    model_from(tree)
    SCHEMA.validate(tree)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"wach": [50]}, []),
        ({"grade": {"E": 1}}, ["grade"]),
        ({"engagement": {"min": 1}}, ["engagement", "min"]),
        ({"engagement": {"rules": [{"id": "r", "activity": "PageViewed", "points": 1}]}}, ["engagement", "rules", 0]),
        ({"engagement": {"inactivity": {"every": "-3d", "points": 1}}}, ["engagement", "inactivity", "every"]),
        ({"exclude": [{"field": "grade", "gt": 1, "lt": 2}]}, ["exclude", 0]),
        ({"stages": [{"id": "a", "any": []}]}, ["stages", 0, "any"]),
    ],
)
def test_an_editor_marks_what_the_loader_refuses(change: dict[str, Any], path: list[Any]) -> None:
    (fault,) = SCHEMA.iter_errors({"model": "m"} | change)
    assert list(fault.absolute_path) == path
