"""A stored lead folded again, here and in the helper's hands: the same row, the same records."""

import io
import pickle
import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from services.scoring.core.compile import compile_model
from services.scoring.core.lead import LeadState, LiveModel, Models, refold
from services.scoring.core.loader import model_from
from services.scoring.helping import serve
from services.scoring.lead_row import LeadRow
from services.scoring.renewal import renew
from services.scoring.switching import StoredLead, SwitchedLead, pack_leads, switch, switch_packed, unpack_switched
from shared.activity import Activity, parse_posted, to_record
from shared.clock import to_rfc3339
from shared.documents import read_document
from shared.identity import EMAIL, Identifier

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
FOLDING = partial(switch_packed, now=NOW, hold=False)
TARO = Identifier(EMAIL, "taro@example.co.jp")
SHIPPED: dict[str, Any] = read_document(Path("config/scoring.yaml").read_text(encoding="utf-8")).tree


def version(number: int, **changed: Any) -> Models:
    return Models((LiveModel(SHIPPED["model"], number, compile_model(model_from({**SHIPPED, **changed}))),))


def download(document: str) -> Activity:
    raw = {
        "id": document,
        "type": "document_downloaded",
        "occurred_at": to_rfc3339(NOW - timedelta(days=3)),
        "lead": {"email": "taro@example.co.jp"},
        "attributes": {"company": "株式会社サンプル"},
        "properties": {"document": document},
    }
    return parse_posted(raw, id_if_absent="", source_if_absent="test", received_at=NOW, region="JP")


def stored(models: Models, count: int = 3) -> StoredLead:
    activities = [download(f"d{number}") for number in range(count)]
    row = LeadRow("00000000-0000-8000-8000-000000000001", None, 0, 4, has_email=True, joined_at=None, state=b"")
    renew(row, refold(models, activities, [TARO], NOW), models, "activity", NOW)
    return StoredLead(row, orjson.dumps([to_record(one) for one in activities]), ())


def states(models: Models, switched: SwitchedLead) -> tuple[int, dict[str, int], float | None]:
    count, versions = LeadState.glance(switched.row.state)
    return count, versions, switched.row.score


def test_a_lead_is_switched_with_one_silent_record() -> None:
    lead = stored(version(1))
    (switched,) = switch(version(2, daily_max=2), [replace(lead, row=replace(lead.row))], NOW)
    assert lead.row.score == 15
    assert states(version(2), switched) == (3, {SHIPPED["model"]: 2}, 10)
    (record,) = switched.published
    body = orjson.loads(record.value or b"")
    assert (body["cause"], body["silent"], body["version"]) == ("model", True, lead.row.version + 1)
    assert body["models"][SHIPPED["model"]]["score"] == 10


def test_an_instant_read_before_a_wait_takes_back_neither_activities_nor_time() -> None:
    fading = {**SHIPPED["engagement"], "inactivity": {"every": "30d", "points": -5}}
    lead, models = stored(version(1, engagement=fading)), version(2, engagement=fading)

    def switched(now: datetime) -> tuple[float, str]:
        (found,) = switch(models, [replace(lead, row=replace(lead.row))], now)
        body = orjson.loads(found.published[0].value or b"")
        return body["models"][SHIPPED["model"]]["score"], body["evaluated_at"]

    assert switched(NOW - timedelta(seconds=10)) == (15, to_rfc3339(NOW))
    # A clock that was ahead by more than clocks are is put right; what it counted stays counted.
    assert switched(NOW - timedelta(days=2)) == (15, to_rfc3339(NOW - timedelta(days=2)))
    assert switched(NOW - timedelta(days=4)) == (15, to_rfc3339(NOW - timedelta(days=3)))


def test_a_shadow_changes_nothing_but_what_its_readers_see() -> None:
    lead, shadow = stored(version(1)), replace(version(2, daily_max=2).primary, shadow=True)
    models = Models(version(1).live, (shadow,))
    (switched,) = switch(models, [replace(lead, row=replace(lead.row), served=True)], NOW + timedelta(seconds=1))
    assert (switched.row.version, switched.row.score) == (lead.row.version, 15)
    assert LeadState.glance(switched.row.state)[1] == models.versions
    (record,) = switched.published
    body = orjson.loads(record.value or b"")
    assert (record.topic, body["version"]) == ("shadow-scores", lead.row.version)
    assert [one["score"] for one in body["shadows"]] == [10]
    (ended,) = switch(version(1), [StoredLead(replace(switched.row), lead.history, (), served=True)], NOW)
    assert (ended.published, LeadState.glance(ended.row.state)[1]) == ((), version(1).versions)


def test_what_has_come_due_beside_a_shadow_is_left_to_the_timer() -> None:
    models = version(1)
    ahead = replace(download("d9"), occurred_at=NOW + timedelta(minutes=1))
    row = LeadRow("00000000-0000-8000-8000-000000000001", None, 0, 4, has_email=True, joined_at=None, state=b"")
    activities = [download("d1"), ahead]
    renew(row, refold(models, activities, [TARO], NOW), models, "activity", NOW)
    lead = StoredLead(row, orjson.dumps([to_record(one) for one in activities]), (), served=True)
    shadowed = Models(models.live, (replace(version(2).primary, shadow=True),))
    (switched,) = switch(shadowed, [lead], NOW + timedelta(minutes=2))
    state = LeadState.unpack(switched.row.state)
    assert (state.profile.count, state.ahead_at, switched.row.score) == (1, ahead.occurred_at, 5)


def test_a_lead_that_may_qualify_is_left_as_it_is_where_releases_are_held() -> None:
    lead, earlier = stored(version(1)), version(1).primary
    models = Models(version(2, watch=[5], daily_max=2).live, earlier={(earlier.name, 1): earlier})
    (switched,) = switch(models, [replace(lead, row=replace(lead.row))], NOW, hold=True)
    assert (switched.row, switched.published, switched.held) == (lead.row, (), 10)


def test_the_helper_answers_in_order_what_is_found_here() -> None:
    models = version(2, daily_max=2)
    leads = [stored(version(1), count) for count in (1, 3)]
    here = switch(models, [replace(lead, row=replace(lead.row)) for lead in leads], NOW)
    question = framed((FOLDING, pickle.dumps(models), pack_leads(leads)))
    answers = io.BytesIO()
    serve(io.BytesIO(question + question), answers)
    up, *found = unframed(answers.getvalue())
    assert up is None
    assert [unpack_switched(one) for one in found] == [here, here]


def test_a_lead_that_cannot_be_folded_is_told_and_the_helper_goes_on() -> None:
    models, lead = version(2), stored(version(1))
    broken, sound = (pack_leads([one]) for one in (replace(lead, history=b"{"), lead))
    questions = [framed((FOLDING, pickle.dumps(models), packed)) for packed in (broken, sound)]
    answers = io.BytesIO()
    serve(io.BytesIO(b"".join(questions)), answers)
    _, failed, found = unframed(answers.getvalue())
    assert isinstance(failed, orjson.JSONDecodeError)
    assert len(found) == 1


def framed(value: object) -> bytes:
    packed = pickle.dumps(value)
    return struct.pack(">Q", len(packed)) + packed


def unframed(stream: bytes) -> list[Any]:
    found = []
    while stream:
        (length,) = struct.unpack(">Q", stream[:8])
        found.append(pickle.loads(stream[8 : 8 + length]))
        stream = stream[8 + length :]
    return found
