"""Records to values, and what cannot be read."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson
import pytest

from services.handoff.core.answers import parse_answer
from services.handoff.core.state import parse_state
from services.handoff.incoming import FirstStart, read_answer, read_states
from shared.errors import InvalidMessage
from shared.kafka.records import Record
from tests.unit.handoff.builders import LEAD, body, day

NEVER = FirstStart(day(0), {})
HANDOFF = "8a0b4c1e-4d0f-5f59-9a35-0a5b1f2a6a11"


def record(
    value: bytes | None, offset: int = 0, headers: Sequence[tuple[str, bytes]] = (), key: bytes | None = LEAD.encode()
) -> Record:
    return Record("lead-scores", 0, offset, 0, key, value, headers)


def published(at: float = 0, **more: Any) -> bytes:
    return orjson.dumps(body(52, at, **more))


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"null",
        b"{}",
        published(version=0),
        published(lead_id=""),
        published(models=None),
        published(models={"test": {"score": "high"}}),
        published(evaluated_at="2026-11-01T00:00:00"),
        published(evaluated_at="soon"),
        published(merged_from=[1]),
        published().replace(b"52", b"NaN"),
    ],
)
def test_what_is_no_state(value: bytes) -> None:
    with pytest.raises(InvalidMessage) as caught:
        parse_state(value)
    assert "taro" not in str(caught.value)
    assert len(read_states([record(value)], NEVER).letters) == 1


def test_unknown_fields_are_left_alone_and_missing_ones_have_defaults() -> None:
    few = {name: body(52)[name] for name in ("lead_id", "version", "models", "evaluated_at")}
    state = parse_state(orjson.dumps({**few, "new_field": 1}))
    assert (state.cause, state.merged_from, state.quiet) == ("activity", [], False)
    assert state.model_name(None) == "test"
    assert state.model_name("other") is None


def test_another_key_or_type_is_put_aside_and_tombstones_say_nothing() -> None:
    records = [
        record(published(), key=b"other"),
        record(published(), headers=[("ce_type", b"lead.merged.v1")]),
        record(None),
        record(published(), headers=[("ce_type", b"lead.score-changed.v1")]),
    ]
    incoming = read_states(records, NEVER)
    assert (len(incoming.states), len(incoming.letters)) == (1, 2)


def test_an_erased_lead_ends_and_a_merged_one_waits_for_its_survivor() -> None:
    assert read_states([record(None)], NEVER).ended == {LEAD}
    assert read_states([record(None, headers=[("merged_into", b"other")])], NEVER).ended == set()


def test_silence_by_header_by_flag_and_from_before_the_first_start() -> None:
    first = FirstStart(day(0), {0: 5})
    grace = timedelta(minutes=10) / timedelta(days=1)
    cases = [
        (record(published(), headers=[("silent", b"true")]), True),
        (record(published(), headers=[("silent", b"false")]), False),
        (record(published(-1), offset=4), True),
        (record(published(-1), offset=5), False),
        (record(published(-grace), offset=4), False),
        (record(published(-grace - 0.0001), offset=4), True),
    ]
    incoming = read_states([item for item, _ in cases], first)
    assert [arrived.silent for arrived in incoming.states] == [silent for _, silent in cases]
    assert parse_state(published(silent=True)).quiet
    assert parse_state(published(cause="repair")).quiet


@pytest.mark.parametrize(
    "answer",
    [
        {"outcome": "accepted"},
        {"handoff_id": HANDOFF},
        {"handoff_id": "x", "outcome": "accepted"},
        {"handoff_id": HANDOFF, "outcome": "assigned"},
        {"handoff_id": HANDOFF, "outcome": "recycled"},
        {"handoff_id": HANDOFF, "outcome": "rejected", "reason": "  "},
        {"handoff_id": HANDOFF, "outcome": "accepted", "at": "2026-11-20T10:00:00"},
        {"handoff_id": HANDOFF, "outcome": "accepted", "at": 5},
        {"handoff_id": HANDOFF, "outcome": "accepted", "resaon": "x"},
        {"handoff_id": HANDOFF, "outcome": "accepted", "by": "a\x00"},
        [],
    ],
)
def test_what_is_no_answer(answer: Any) -> None:
    with pytest.raises(InvalidMessage):
        parse_answer(orjson.dumps(answer))


def test_an_answer_asks_for_a_step() -> None:
    raw = {"handoff_id": HANDOFF, "outcome": "recycled", "reason": " later ", "until": "2027-01-30T09:00:00+09:00"}
    answer = read_answer(record(orjson.dumps(raw)))
    step = answer.step(by="topic", now=day(1))
    assert (step.state, step.at, step.by, step.reason, step.until) == ("recycled", day(1), "topic", "later", day(90))
    with pytest.raises(InvalidMessage, match="no value"):
        read_answer(record(None))
