"""The committed OpenAPI document is the service's own, and shows what the service answers."""

from pathlib import Path
from typing import Any

import orjson
from jsonschema import Draft202012Validator

from services.scoring.answers import lead_out
from services.scoring.core.lead import LiveModel, Models, refold
from services.scoring.openapi import render
from services.scoring.reading import StoredLead
from services.scoring.views import LeadView, LeadWithReasons
from tests.unit.scoring.core.builders import NOON, act, compiled

COMMITTED = Path(__file__).parents[3] / "docs" / "openapi" / "scoring.json"


def test_the_committed_document_is_the_services_own() -> None:
    assert COMMITTED.read_bytes() == render(), (
        "make it anew: python -m services.scoring.openapi > docs/openapi/scoring.json"
    )


def test_examples_fit_their_schemas() -> None:
    document: dict[str, Any] = orjson.loads(render())
    schemas = document["components"]["schemas"]
    named = {name: schema for name, schema in schemas.items() if "example" in schema}
    assert named.keys() >= {
        "ActivityPage",
        "ActivityView",
        "LeadPage",
        "LeadView",
        "LeadWithReasons",
        "ExplanationView",
    }
    assert named.keys() >= {"AccountPage", "ErasedView", "GivePoints", "OtherLead", "VersionPage"}
    for schema in named.values():
        Draft202012Validator({**schema, "components": document["components"]}).validate(schema["example"])


def test_an_answer_has_exactly_the_documented_fields() -> None:
    models = Models((LiveModel("test", 1, compiled(engagement={"rules": []})),))
    activity = act("page_viewed", email="taro@example.co.jp")
    stored = StoredLead(
        "6f1d9c52-0f0c-8f4e-b1f3-2b6f5d0c7e21", 1, refold(models, [activity], activity.identifiers, NOON), models
    )
    for reasons, view in ((True, LeadWithReasons), (False, LeadView)):
        answer = lead_out(stored, NOON, reasons=reasons)
        assert answer.keys() == view.model_fields.keys()
        view.model_validate(answer)
