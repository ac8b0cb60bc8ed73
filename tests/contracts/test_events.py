"""Every event fits its schema, on both sides: what we write, and what we read."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from services.handoff.core.answers import parse_answer
from services.handoff.core.crossing import Crossing
from services.handoff.core.handoff import new_handoff
from services.handoff.core.ledger import Ledger
from services.handoff.core.state import parse_state
from services.scoring.core.evaluate import evaluate
from services.scoring.core.events import Change, SignalFired, Word, lead_merged, score_changed, told
from services.scoring.core.lead import LiveModel, Models, refold
from services.scoring.core.links import JOINED, Link
from services.scoring.core.profile import Profile
from services.scoring.incoming import read_record
from shared import schemas
from shared.activity import parse_posted, to_record
from shared.events import (
    ACTIVITY,
    HANDOFF_ANSWER,
    MERGED,
    QUALIFIED,
    SCORE_CHANGED,
    SHADOW_SCORED,
    OutboxRow,
    unpack_headers,
)
from shared.kafka.records import Record
from tests.unit.handoff.builders import day, rule, state
from tests.unit.scoring.core.builders import NOON, act, compiled

EXAMPLES = [(type_, name) for type_ in schemas.types() for name in schemas.examples(type_)]
LEAD = "6f1d9c52-0f0c-8f4e-b1f3-2b6f5d0c7e21"
POSTED = {
    "id": "a-1",
    "type": "document_downloaded",
    "occurred_at": "2026-11-20T10:15:00+09:00",
    "lead": {
        "email": "Taro@example.co.jp",
        "anonymous_id": "b",
        "phone": "090-1234-5678",
        "external_ids": {"crm": "1"},
    },
    "attributes": {"company": "株式会社サンプル"},
    "properties": {"document": "price-list"},
    "consent": {"email": True},
}


def validator(type_: str) -> Draft202012Validator:
    """With formats checked too."""
    return Draft202012Validator(schemas.schema(type_), format_checker=Draft202012Validator.FORMAT_CHECKER)


def read_activity(value: bytes) -> Any:
    return read_record(Record("lead-activities", 0, 0, 0, b"k", value, []), "JP")


READERS: dict[str, Callable[[bytes], Any]] = {
    ACTIVITY: read_activity,
    SCORE_CHANGED: parse_state,
    HANDOFF_ANSWER: parse_answer,
}


def test_every_type_has_an_example() -> None:
    assert len(schemas.types()) >= 6
    assert {type_ for type_, _ in EXAMPLES} == set(schemas.types())


@pytest.mark.parametrize(("type_", "name"), EXAMPLES)
def test_an_example_fits_its_schema_and_a_spoilt_one_does_not(type_: str, name: str) -> None:
    value = schemas.examples(type_)[name]
    validator(type_).validate(value)
    for field in schemas.schema(type_)["required"]:
        spoilt = {key: content for key, content in value.items() if key != field}
        assert not validator(type_).is_valid(spoilt), field


@pytest.mark.parametrize(("type_", "name"), [one for one in EXAMPLES if one[0] in READERS])
def test_an_example_parses_and_a_field_of_the_future_does_no_harm(type_: str, name: str) -> None:
    value = schemas.examples(type_)[name]
    assert READERS[type_](orjson.dumps(value))
    if type_ == SCORE_CHANGED:
        assert READERS[type_](orjson.dumps({**value, "of_a_later_version": 1}))


def test_an_activity_as_ingest_writes_it_fits() -> None:
    received_at = datetime(2026, 11, 20, 1, 16, tzinfo=UTC)
    activity = parse_posted(POSTED, id_if_absent="", source_if_absent="api", received_at=received_at, region="JP")
    written = orjson.dumps(to_record(activity))
    validator(ACTIVITY).validate(orjson.loads(written))
    back = read_activity(written).activity
    assert back.identifiers == activity.identifiers


def changed(cause: str = "activity") -> OutboxRow:
    model = compiled(engagement={"rules": [{"id": "r", "activity": "page_viewed", "points": 1.5}]})
    models = Models((LiveModel("test", 3, model),))
    activity = act("page_viewed", email="taro@example.co.jp", url="/pricing")
    folded = refold(models, [activity], activity.identifiers, NOON)
    evaluations = {"test": evaluate(model, folded.folds["test"][1], NOON)}
    fired = [SignalFired("price", "web", activity.id, NOON)]
    return score_changed(Change(LEAD, 7, cause, folded.profile, evaluations, NOON, {}, fired), models)


def merged() -> OutboxRow:
    """A merge as scoring writes it."""
    other = "0b54ae0c-9f0e-8d53-a0a7-5d0b8e9f1c11"
    word = Word(Link(JOINED, LEAD, other), LEAD, other, "marketing")
    return lead_merged(Change(LEAD, 2, "merge", Profile(), {}, NOON, {other: 4}, word=word))


def test_a_score_as_scoring_writes_it_fits_and_handoff_reads_it() -> None:
    row = changed()
    value = orjson.loads(row.value or b"")
    validator(SCORE_CHANGED).validate(value)
    read = parse_state(row.value or b"")
    assert (read.lead_id, read.version, read.models["test"].score) == (LEAD, 7, 1.5)


def test_a_shadow_as_scoring_writes_it_fits() -> None:
    model = compiled(engagement={"rules": [{"id": "r", "activity": "page_viewed", "points": 1.5}]})
    models = Models((LiveModel("test", 3, model),), (LiveModel("test", 4, model, shadow=True),))
    activity = act("page_viewed", email="taro@example.co.jp")
    folded = refold(models, [activity], activity.identifiers, NOON)
    live, shadow = ({one.key: evaluate(model, folded.folds[one.key][1], NOON)} for one in models.all)
    change = Change(LEAD, 7, "model", folded.profile, live, NOON, shadows=shadow, silent=False)
    state_row, shadow_row = told(change, models)
    validator(SHADOW_SCORED).validate(orjson.loads(shadow_row.value or b""))
    validator(SCORE_CHANGED).validate(orjson.loads(state_row.value or b""))
    assert not parse_state(state_row.value or b"").quiet


@pytest.mark.parametrize(
    ("cause", "silent", "quiet"),
    [("model", None, True), ("model", False, False), ("model", True, True), ("activity", None, False),
     ("activity", True, True), ("repair", None, True)],
)  # fmt: skip
def test_the_record_itself_says_whether_it_raises(cause: str, silent: bool | None, quiet: bool) -> None:
    value = orjson.loads(changed(cause).value or b"")
    if silent is not None:
        value["silent"] = silent
    assert parse_state(orjson.dumps(value)).quiet is quiet


def test_an_excluded_lead_fits_too() -> None:
    model = compiled(exclude=[{"field": "attributes.company", "exists": False}])
    models = Models((LiveModel("test", 1, model),))
    folded = refold(models, [act("page_viewed")], act("page_viewed").identifiers, NOON)
    evaluations = {"test": evaluate(model, folded.folds["test"][1], NOON)}
    value = orjson.loads(
        score_changed(Change(LEAD, 1, "activity", folded.profile, evaluations, NOON), models).value or b""
    )
    assert value["models"]["test"]["score"] is None
    validator(SCORE_CHANGED).validate(value)
    assert parse_state(orjson.dumps(value)).models["test"].score is None


def test_a_merge_and_a_qualified_lead_as_written_fit() -> None:
    validator(MERGED).validate(orjson.loads(merged().value or b""))
    published, of, ledger = state(52, 1), rule(), Ledger()
    ledger.open(new_handoff(of, published, Crossing(1, published.evaluated_at, "test"), day(1.5)), of, published)
    validator(QUALIFIED).validate(orjson.loads(ledger.published[0].value or b""))


@pytest.mark.parametrize("row", [changed(), merged()], ids=["score", "merge"])
def test_every_event_carries_the_headers_of_cloudevents(row: OutboxRow) -> None:
    headers = dict(unpack_headers(row.headers))
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_type"].decode() in schemas.types()
    assert headers["ce_partitionkey"] == row.key
    assert headers["content-type"] == b"application/json"
    assert headers.keys() == {
        "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_partitionkey", "content-type",
    }  # fmt: skip
