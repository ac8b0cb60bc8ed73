"""What the demo prints of a qualified lead, and its last word."""

from typing import Any

import pytest

from deploy.demo.run import Outcome
from deploy.demo.showing import row_of, show_leads, show_outcome, show_verdict, top_reasons

RECORD: dict[str, Any] = {
    "lead": {
        "identifiers": {"email": "taro.yamada@aoba.example.co.jp"},
        "attributes": {"name": "山田 太郎", "company": "株式会社青葉製作所"},
    },
    "score": 52.5,
    "cell": "A2",
    "stage": "comparison",
    "reasons": [
        {"rule": "document-downloaded", "points": 5.0, "count": 1},
        {"rule": "demo-requested", "points": 20.0, "count": 1},
        {"rule": "cap:web", "points": -7.5, "count": 1},
    ],
}


def test_the_weightiest_reasons_stand_first() -> None:
    assert [one["rule"] for one in top_reasons(RECORD["reasons"], most=2)] == ["demo-requested", "cap:web"]


def test_a_row_says_who_how_much_and_why() -> None:
    why = "demo-requested +20, cap:web -7.5, document-downloaded +5"
    assert row_of(RECORD) == ("山田 太郎", "株式会社青葉製作所", "52.50", "A2", "comparison", why)


def test_a_lead_without_a_name_is_shown_by_its_identifier() -> None:
    nameless = {**RECORD, "lead": {"identifiers": {"external_ids": {"crm": "7"}}}, "stage": None}
    assert row_of(nameless)[:5] == ("crm:7", "", "52.50", "A2", "-")


def test_a_long_table_is_cut_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    show_leads([RECORD] * 5, most=2)
    printed = capsys.readouterr().out
    assert printed.count("52.50") == 2
    assert "… and 3 more" in printed


def test_the_verdict_is_fine_only_without_differences(capsys: pytest.CaptureFixture[str]) -> None:
    show_verdict([], "as expected")
    assert "as expected" in capsys.readouterr().out
    show_verdict([f"lead {number}: differs" for number in range(50)], "as expected")
    said = capsys.readouterr().err
    assert "lead 0: differs" in said
    assert "50 differences, 10 not shown" in said


def test_the_outcome_is_told_with_repeats_and_without(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(
        records=[RECORD], differences=[], sent=1_020, activities=1_000, leads=40, sent_s=0.5, counted_s=2.0,
        took_s=9.0, most=None,
    )  # fmt: skip
    show_outcome(outcome)
    printed = capsys.readouterr().out
    assert "1,020 activities sent in 0.5 s (2,040 a second), counted after 2.0 s (510 a second)" in printed
    assert "as expected: 1,000 activities counted, 40 leads, 1 handed over, each once (9.0 s in all)" in printed
    told = outcome.to_json()
    assert (told["as_expected"], told["sent"], told["handed_over"]) == (True, 1_020, 1)
    assert told["qualified_leads"] == [RECORD]
