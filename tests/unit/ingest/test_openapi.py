from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from services.ingest.openapi import render
from services.ingest.routes import EXAMPLE, PATH

COMMITTED = Path(__file__).parents[3] / "docs" / "openapi" / "ingest.json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made: dict[str, Any] = orjson.loads(render())
    return made


def test_the_committed_document_is_the_services_own(document: dict[str, Any]) -> None:
    assert orjson.loads(COMMITTED.read_bytes()) == document, (
        "make it anew: python -m services.ingest.openapi > docs/openapi/ingest.json"
    )


def test_operations_have_unique_ids(document: dict[str, Any]) -> None:
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)


def test_examples_fit_their_schemas(document: dict[str, Any]) -> None:
    content = document["paths"][PATH]["post"]["requestBody"]["content"]
    assert content.keys() == {
        "application/json",
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
    }
    for media in content.values():
        Draft202012Validator(media["schema"]).validate(media["example"])
    activity = Draft202012Validator(content["application/json"]["schema"])
    activity.validate([EXAMPLE, EXAMPLE])
    assert not activity.is_valid({**EXAMPLE, "occured_at": "x"})
    assert not activity.is_valid({"type": "page_viewed"})
