"""What people read: the facts in both languages, and nothing a lead wrote does anything."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.handoff.core.messages import Message, message_of
from services.handoff.core.rendering import html, plain_text, slack_text
from services.handoff.core.rows import COLUMNS, event_cells
from services.handoff.core.words import EN, JA
from shared import schemas
from shared.events import DESTINATION_DISABLED, EXTRACTION_COMPLETED, HANDOFF_OUTCOME, HANDOFF_OVERDUE, QUALIFIED

TOKYO = ZoneInfo("Asia/Tokyo")
LEAD: dict[str, Any] = schemas.examples(QUALIFIED)["hot"]
OVERDUE = {
    "handoff_id": "h", "lead_id": "l", "rule": "hot", "queue": "desk", "owner": "sato", "head": "kato", "breach": 1,
    "which": "respond", "due_at": "2026-11-20T01:15:00Z", "action": "reminded", "new_owner": None,
    "at": "2026-11-20T01:16:00Z",
}  # fmt: skip
OUTCOME = schemas.examples(HANDOFF_OUTCOME)["recycled"]
RUN = {"extraction_id": "x", "rule": "weekly", "run": "w", "kind": "scheduled", "queue": "desk", "count": 3,
       "at": "2026-11-20T00:00:00Z"}  # fmt: skip


def said(type_: str, data: dict[str, Any], language: str, **more: Any) -> Message:
    return message_of(type_, data, language=language, zone=TOKYO, **more)


def hostile(text: str) -> dict[str, Any]:
    lead = {**LEAD["lead"], "attributes": {"name": text, "company": text, "job_title": text}}
    return {**LEAD, "lead": lead, "recent_activities": [{"type": text, "properties": {"a": text}}]}


def test_both_languages_have_the_same_words() -> None:
    assert EN.keys() == JA.keys()


LINES = {
    "ja": ["会社名: 株式会社サンプル", "到達日時: 2026年11月2日 09:00（Asia/Tokyo）", "- seminar-attended: 32点 (4回)"],
    "en": [
        "Company: 株式会社サンプル",
        "Qualified at: 2026-11-02 09:00 (Asia/Tokyo)",
        "- seminar-attended: 32 points (4×)",
    ],
}
SUBJECTS = {
    "ja": "有望リード：株式会社サンプル 山田 太郎（hot、52点）",
    "en": "Qualified lead: 株式会社サンプル 山田 太郎 (hot, 52 points)",
}


@pytest.mark.parametrize("language", ["ja", "en"])
def test_a_lead_is_told_with_its_reasons(language: str) -> None:
    message = said(QUALIFIED, LEAD, language)
    assert message.subject == SUBJECTS[language]
    assert set(LINES[language]) <= set(plain_text(message).splitlines())
    for line in LINES[language]:
        for part in line.removeprefix("- ").split(": "):
            assert part in html(message)
            assert part in slack_text(message)
    assert "autumn-expo" in plain_text(message)


@pytest.mark.parametrize(
    ("type_", "data", "subject"),
    [
        (HANDOFF_OVERDUE, OVERDUE, "期限超過：lの初回の回答"),
        (
            HANDOFF_OUTCOME,
            schemas.examples(HANDOFF_OUTCOME)["recycled"],
            "recycled：6f1d9c52-0f0c-8f4e-b1f3-2b6f5d0c7e21（hot）",
        ),
        (DESTINATION_DISABLED, schemas.examples(DESTINATION_DISABLED)["failing"], "配信先を停止しました：crm"),
        (EXTRACTION_COMPLETED, RUN, "handoff.extraction-completed.v1"),
        ("lead.of-the-future.v1", {"lead_id": "x", "more": {"a": 1}}, "lead.of-the-future.v1"),
    ],
)
def test_every_event_has_a_message(type_: str, data: dict[str, Any], subject: str) -> None:
    message = said(type_, data, "ja")
    assert message.subject == subject
    assert plain_text(message)
    assert html(message)


def test_a_run_lists_its_leads_and_says_how_many_more() -> None:
    message = said(EXTRACTION_COMPLETED, RUN, "ja", leads=[LEAD, LEAD], count=2_003)
    assert message.subject == "有望リード 2,003件：weekly、2026年11月20日 09:00（Asia/Tokyo）"
    assert "山田 太郎 | 株式会社サンプル | taro.yamada@example.co.jp" in plain_text(message)
    assert "52 | seminar-attended 32, section-manager-or-above 20 | D" in plain_text(message)
    assert html(message).count("taro.yamada@example.co.jp") == 2
    assert message.closing == "ほか2,001件"


def test_a_test_says_so() -> None:
    message = said(QUALIFIED, LEAD, "ja", test=True)
    assert message.subject.startswith("【テスト】")
    assert "実在" in message.intro


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "<!channel> *bold*", "@channel", "a\r\nBcc: x@example.com"]
)
def test_what_a_lead_wrote_does_nothing(text: str) -> None:
    message = said(QUALIFIED, hostile(text), "ja")
    assert "\n" not in message.subject
    assert "\r" not in plain_text(message)
    assert "<script" not in html(message)
    written = slack_text(message)
    assert "<" not in written
    assert "@channel" not in written
    assert "*bold*" not in written


def test_long_texts_are_cut() -> None:
    assert len(plain_text(said(QUALIFIED, hostile("x" * 50_000), "ja"))) < 5_000


def test_a_row_has_a_value_for_every_column() -> None:
    row = dict(zip(COLUMNS, event_cells(LEAD), strict=True))
    assert (row["name"], row["email"], row["score"]) == ("山田 太郎", "taro.yamada@example.co.jp", 52.0)
    assert row["queue"] == "inside-sales"
    assert row["reasons"] == "seminar-attended 32.0; section-manager-or-above 20.0"
    odd = event_cells({"lead": "odd", "reasons": 7, "score": {"a": 1}})
    assert set(odd) == {None, ""}
