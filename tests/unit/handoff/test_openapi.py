"""The committed OpenAPI document is the service's own."""

from pathlib import Path
from typing import Any

import orjson
from jsonschema import Draft202012Validator

from services.handoff.core.states import STATES
from services.handoff.openapi import render
from services.handoff.routes import State

COMMITTED = Path(__file__).parents[3] / "docs" / "openapi" / "handoff.json"


def test_the_committed_document_is_the_services_own() -> None:
    assert COMMITTED.read_bytes() == render(), (
        "make it anew: python -m services.handoff.openapi > docs/openapi/handoff.json"
    )


def test_examples_fit_their_schemas() -> None:
    document: dict[str, Any] = orjson.loads(render())
    schemas = document["components"]["schemas"]
    named = {name: schema for name, schema in schemas.items() if "example" in schema}
    assert named.keys() >= set(
        "Answer Asked Assignment EffectReport EffectView ExtractionPage ExtractionView HandoffPage HandoffView"
        " HandoffWithHistory DestinationPage DestinationView DestinationMade AttemptPage AttemptView Rotate".split()
    )
    for schema in named.values():
        Draft202012Validator({**schema, "components": document["components"]}).validate(schema["example"])


def test_the_states_that_may_be_asked_for_are_all_states() -> None:
    assert State.__args__ == STATES  # type: ignore[attr-defined]
