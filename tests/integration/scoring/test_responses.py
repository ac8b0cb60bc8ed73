"""The report on responses, on what the consumer has stored."""

from datetime import timedelta
from typing import Any

import pytest

from services.scoring.core.responses import ResponseQuestion, report
from services.scoring.response_reading import ResponseReader
from shared.clock import to_rfc3339
from tests.integration.scoring.desk import NOW, Desk

MONTH = timedelta(days=30)


def did(who: str, type_: str, days: float, **properties: Any) -> dict[str, Any]:
    at = NOW - timedelta(days=40) + timedelta(days=days)
    raw = {"id": f"{who}-{type_}-{days}", "type": type_, "occurred_at": to_rfc3339(at)}
    return {**raw, "lead": {"email": f"{who}@example.co.jp"}, "properties": properties}


async def asked(desk: Desk, **more: Any) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "email_id": "m1",
        "campaign": None,
        "link": None,
        "appointments": ("meeting_booked",),
        "within": MONTH,
        "start": None,
        "end": None,
    }
    question = ResponseQuestion(**{**wanted, **more})
    return report(question, await ResponseReader(desk.engine).responses(question))


@pytest.fixture
async def mailed(desk: Desk) -> Desk:
    """Five got the mail: two clicked and one of them was met; one was met without a click, one too late, one never."""
    mail = {"email_id": "m1", "campaign": "autumn"}
    await desk.receive(*(did(who, "email_delivered", 0, **mail) for who in "abcde"))
    await desk.receive(
        did("a", "email_clicked", 1, link="https://example.co.jp/price", **mail),
        did("b", "email_clicked", 1, link="https://example.co.jp/news", **mail),
        did("a", "meeting_booked", 3),
        did("c", "meeting_booked", 29),
        did("d", "meeting_booked", 31),
        did("f", "meeting_booked", 2),
        did("e", "meeting_booked", -1),
    )
    return desk


def counts(found: dict[str, Any]) -> tuple[tuple[int, int], tuple[int, int]]:
    one, other = found["responded"], found["not_responded"]
    return (one["hits"], one["of"]), (other["hits"], other["of"])


async def test_recipients_who_clicked_beside_those_who_did_not(mailed: Desk) -> None:
    found = await asked(mailed)
    assert counts(found) == ((1, 2), (1, 3))
    assert found["difference"]["value"] == pytest.approx(1 / 6, abs=1e-4)
    assert "no experiment" in found["warnings"][0]
    assert "Too few" in found["warnings"][1]


async def test_one_link_a_campaign_another_span(mailed: Desk) -> None:
    assert counts(await asked(mailed, link="/price")) == ((1, 1), (1, 4))
    assert counts(await asked(mailed, email_id=None, campaign="autumn")) == ((1, 2), (1, 3))
    assert counts(await asked(mailed, within=timedelta(days=32))) == ((1, 2), (2, 3))
    assert counts(await asked(mailed, appointments=("meeting_held",))) == ((0, 2), (0, 3))
    assert counts(await asked(mailed, start=NOW)) == ((0, 0), (0, 0))


async def test_nobody_known_to_have_got_it(mailed: Desk) -> None:
    found = await asked(mailed, email_id="other")
    assert found["difference"]["value"] is None
    assert "nobody knows who got it" in found["warnings"][1]


async def test_a_scanner_does_not_respond(mailed: Desk) -> None:
    """Three links of the mail within ten seconds: a late verdict takes the click back."""
    mail = {"email_id": "m1", "campaign": "autumn"}
    await mailed.receive(
        *(
            did("a", "email_clicked", 1 + number / 86_400, link=f"https://example.co.jp/{number}", **mail)
            for number in (1, 2, 3)
        )
    )
    assert counts(await asked(mailed)) == ((0, 1), (2, 4))
