"""The demo's verdict: what is missing, doubled or different is told in words."""

from typing import Any

import pytest

from deploy.demo.expectation import Outcome, Reason
from deploy.demo.judging import check_lead, check_records, label_of


def _record(email: str = "a@example.com", **changes: Any) -> dict[str, Any]:
    record = {
        "lead": {"id": "1", "identifiers": {"email": email}, "attributes": {}},
        "rule": "hot",
        "cycle": 1,
        "score": 52.5,
        "reasons": [{"rule": "x", "points": 42.5, "count": 2}, {"rule": "y", "points": 10.0, "count": 1}],
    }
    return {**record, **changes}


def test_one_sound_record_for_each_expected_lead_is_fine() -> None:
    assert check_records([_record(), _record("b@example.com")], ["b@example.com", "a@example.com"], "hot") == []


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([], "a@example.com: should have been handed over, but was not"),
        ([_record(), _record("c@example.com")], "c@example.com: should not have been handed over"),
        ([_record(), _record()], "a@example.com: handed over 2 times"),
        ([_record(rule="cold")], "a@example.com: its record has rule cold, expected hot"),
        ([_record(cycle=2)], "a@example.com: its record has cycle 2, expected 1"),
        ([_record(score=60)], "a@example.com: its record has reasons worth 52.5, but score 60"),
        (
            [_record(score=49.5, reasons=[{"rule": "x", "points": 49.5, "count": 1}])],
            "a@example.com: its record has score 49.5, expected at least 50",
        ),
    ],
)
def test_a_missing_doubled_or_unsound_record_is_told(records: list[dict[str, Any]], said: str) -> None:
    assert check_records(records, ["a@example.com"], "hot") == [said]


def test_a_lead_is_named_by_the_strongest_of_what_it_is_known_by() -> None:
    known: dict[str, Any] = {
        "email": "a@example.com",
        "external_ids": {"crm": "7"},
        "phone": "+819000000001",
        "anonymous_ids": ["b-1"],
    }
    assert label_of({"identifiers": known}) == "a@example.com"
    assert label_of({"identifiers": {**known, "email": None}}) == "crm:7"
    assert label_of({"identifiers": {"phone": "+819000000001", "anonymous_ids": ["b-1"]}}) == "+819000000001"
    assert label_of({"identifiers": {"anonymous_ids": ["b-1"]}}) == "b-1"
    shared = {"identifiers": {"email": "info@example.com"}, "attributes": {"name": "山田　太郎"}}
    assert label_of(shared) == "info@example.com 山田太郎"


def test_a_lead_that_differs_is_told_number_by_number() -> None:
    expected = Outcome("a@example.com", 5_250, 4_250, 1_000, "B", "3", "research", (Reason("x", 4_250, 2),))
    shown: dict[str, Any] = {
        "identifiers": {"email": "a@example.com"},
        "score": 52.5,
        "engagement": 42.5,
        "fit": 10.0,
        "grade": "B",
        "level": "3",
        "stage": "research",
        "reasons": [{"rule": "x", "points": 42.5, "count": 2}],
    }
    assert check_lead(shown, expected) == []
    assert check_lead(None, expected) == ["a@example.com: the API does not know this lead"]
    assert check_lead({**shown, "engagement": 40.0, "stage": None}, expected) == [
        "a@example.com: engagement is 40.0, expected 42.5",
        "a@example.com: stage is None, expected research",
    ]
