"""The committed document of the topics is the code's own."""

from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from shared.asyncapi import document, render
from shared.topics import ALL

COMMITTED = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"


def test_the_committed_document_is_up_to_date() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == render(), (
        "make it anew: python -m shared.asyncapi > docs/asyncapi.yaml"
    )


def test_it_parses_to_what_was_meant_and_names_every_topic() -> None:
    parsed: dict[str, Any] = YAML(typ="safe").load(COMMITTED.read_text(encoding="utf-8"))
    assert parsed == document()
    assert [channel["address"] for channel in parsed["channels"].values()] == [topic.name for topic in ALL]


def test_every_reference_leads_somewhere() -> None:
    parsed = document()
    found = list(references(parsed))
    assert found
    for reference in found:
        place = parsed
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_examples_fit_the_payloads_they_stand_beside() -> None:
    parsed = document()
    shown = 0
    for name, message in parsed["components"]["messages"].items():
        for example in message.get("examples", ()):
            Draft202012Validator(parsed["components"]["schemas"][name]).validate(example["payload"])
            shown += 1
    assert shown >= 6


def references(value: Any) -> Any:
    """Every `$ref` in a document."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)
