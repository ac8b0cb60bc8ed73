"""The quick way to read a record says what the thorough one says, of good records and of bad ones."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.activity import Activity, parse_recorded
from shared.posted import ActivityFaults
from shared.recorded import parse_written

RECORD: dict[str, Any] = {
    "id": "a-1",
    "source": "website",
    "type": "document_downloaded",
    "occurred_at": "2026-11-20T01:15:00.000000Z",
    "received_at": "2026-11-20T01:15:01.000000Z",
    "lead": {"email": "taro@example.co.jp"},
    "attributes": {"company": "株式会社サンプル"},
    "properties": {"document": "d1"},
    "consent": None,
    "flags": [],
}
SIGNALS = {"method": "GET", "agent": "browser", "network": "9c1f"}
NAMES: list[Any] = [
    {"email": "info@example.co.jp"},
    {"email": "Taro@EXAMPLE.co.jp", "phone": "+819012345678", "anonymous_id": " b "},
    {"email": "no address", "anonymous_id": "b"},
    {"external_ids": {"hubspot": "1", "crm": "2"}},
    {"external_ids": {"a b": "1"}},
    {"external_ids": {"hubspot": 1}},
    {"external_ids": {}},
    {"phone": "03-1234-5678"},
    {"anonymous_id": "  "},
    {"anonymous_id": None},
    {"email": 5},
    {"nickname": "taro"},
    {},
    [],
    "taro",
    None,
]
INSTANTS: list[Any] = [
    "2026-11-20T10:15:00+09:00",
    "2026-11-20T01:15:00Z",
    "2026-11-20T01:15:00.000001Z",
    "2026-W47-5T01:15:00.00000Z",
    "2026-02-30T01:15:00.000000Z",
    "1969-12-31T23:59:59.999999Z",
    "１970-01-01T00:00:00.000000Z",
    "2026-11-20T01:15:00.000000z",
    "soon",
    "",
    7,
    None,
]
OTHERS: dict[str, list[Any]] = {
    "id": ["", "x" * 257, 5, None],
    "source": ["", "x" * 129, None],
    "type": ["page_viewed", "own_type", "Page", "x" * 65, "page_viewed\n", None, 3],
    "occurred_at": INSTANTS,
    "received_at": INSTANTS,
    "lead": NAMES,
    "attributes": [None, {}, [], "text", {"name": "山田 太郎"}],
    "properties": [None, {}, 3],
    "consent": [{"profiling": True}, {"profiling": "yes"}, {"email": False, "at": "2026-11-20T01:15:00Z"}, {}],
    "flags": [["silent"], [5], "silent", None, {}],
    "claimed_at": ["2026-11-20T01:20:00.000000Z", None, 3],
    "signals": [SIGNALS, {"method": "PUT"}, {**SIGNALS, "speed": 7}, None, []],
    "unknown": [1],
}


def both(raw: Any) -> list[Activity | str]:
    answers: list[Activity | str] = []
    for read in (parse_written, parse_recorded):
        try:
            answers.append(read(raw, region="JP"))
        except ActivityFaults as error:
            answers.append(str(error))
    return answers


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in OTHERS.items() for value in values])
def test_one_unusual_field(name: str, value: Any) -> None:
    quick, thorough = both({**RECORD, name: value})
    assert quick == thorough


@pytest.mark.parametrize("name", list(RECORD))
def test_one_missing_field(name: str) -> None:
    quick, thorough = both({field: value for field, value in RECORD.items() if field != name})
    assert quick == thorough


@pytest.mark.parametrize("raw", [None, [], "text", 5, {}, [RECORD]])
def test_what_is_no_record(raw: Any) -> None:
    quick, thorough = both(raw)
    assert quick == thorough


@given(st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in OTHERS.items()}))
def test_any_mixture(changes: dict[str, Any]) -> None:
    quick, thorough = both(orjson.loads(orjson.dumps({**RECORD, **changes})))
    assert quick == thorough
