"""From an HTTP request to a qualified lead and the answer of sales."""

import random
import string
import uuid
from typing import Any

from tests.e2e.client import Client, reasons_sum, wait_for


def person() -> str:
    return f"{uuid.uuid4().hex[:12]}@example.co.jp"


def seminar(email: str, number: int) -> dict[str, Any]:
    return {
        "id": f"{email}-{number}",
        "type": "seminar_attended",
        "lead": {"email": email},
        "attributes": {"name": "山田 太郎", "company": "株式会社サンプル"},
        "properties": {"event": f"seminar-{number}"},
    }


def make_hot(client: Client, email: str) -> dict[str, Any]:
    """Post five seminars, one after the other, and wait for the handoff."""
    for number in range(5):
        client.post(seminar(email, number))
    lead = wait_for(lambda: (found := client.lead(email)) and found["score"] >= 50 and found)
    return wait_for(lambda: client.handoffs(lead["id"]))[0]


def test_a_lead_crosses_fifty_and_is_handed_over_once(client: Client) -> None:
    email = person()
    handoff = make_hot(client, email)
    client.post(*(seminar(email, number) for number in range(7)))
    lead = wait_for(lambda: (found := client.lead(email)) and found["score"] == 70 and found)
    assert reasons_sum(lead) == lead["score"]
    records = [value for value in client.read("qualified-leads") if value["lead"]["id"] == lead["id"]]
    assert len(records) == 1
    assert records[0]["score"] >= 50
    assert reasons_sum(records[0]) == records[0]["score"]
    assert records[0]["handoff"]["id"] == handoff["id"]
    assert (handoff["state"], handoff["queue"], handoff["cycle"]) == ("qualified", "inside-sales", 1)


def test_a_lead_that_is_told_without_end_stops_nobody(client: Client) -> None:
    talker, other = person(), person()
    for number in range(60):
        letters = "".join(random.Random(number).choices(string.ascii_letters, k=15_000))
        more = {f"k{number}-{part}": letters for part in range(3)}
        client.post({**seminar(talker, 100 + number), "type": "profile_updated", "attributes": more})
    assert make_hot(client, other)["state"] == "qualified"
    assert make_hot(client, talker)["state"] == "qualified"


def test_sales_answers_and_the_outcome_is_told(client: Client) -> None:
    handoff = make_hot(client, person())
    assert client.answer(handoff["id"], outcome="rejected").status_code == 422
    assert client.answer(handoff["id"], outcome="converted").status_code == 409
    accepted = client.answer(handoff["id"], outcome="accepted", by="sato")
    assert accepted.json()["state"] == "accepted"
    assert client.answer(handoff["id"], outcome="accepted").status_code == 200
    won = client.answer(handoff["id"], outcome="converted", by="sato").json()
    assert [step["state"] for step in won["history"]] == ["qualified", "accepted", "converted"]

    def told() -> list[str]:
        values = client.read("handoff-outcomes")
        outcomes = [value["outcome"] for value in values if value["handoff_id"] == handoff["id"]]
        return outcomes if len(outcomes) == 2 else []

    assert wait_for(told) == ["accepted", "converted"]


def test_an_unknown_handoff_is_404(client: Client) -> None:
    assert client.answer(str(uuid.uuid4()), outcome="accepted").status_code == 404
    assert client.answer("nobody", outcome="accepted").json()["code"] == "handoff_not_found"


def test_a_browser_becomes_known_and_brings_its_history(client: Client) -> None:
    email, browser = person(), uuid.uuid4().hex
    page = {"type": "document_downloaded", "properties": {"document": "price-list"}}
    client.post({**page, "lead": {"anonymous_id": browser}})
    client.post({**page, "lead": {"email": email, "anonymous_id": browser}, "properties": {"document": "case-study"}})
    lead = wait_for(lambda: (found := client.lead(email)) and found["score"] == 10 and found)
    assert lead["identifiers"]["anonymous_ids"] == [browser]
    activities = client.http.get(client.url("scoring", f"/v1/leads/{lead['id']}/activities")).json()["items"]
    assert [item["properties"]["document"] for item in activities] == ["case-study", "price-list"]


def test_keys_are_asked_for_at_every_service(client: Client) -> None:
    for service, path in (("scoring", "/v1/leads"), ("handoff", "/v1/handoffs")):
        refused = client.http.get(client.url(service, path), headers={"Authorization": "Bearer wrong"})
        assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")


def test_every_service_is_ready_and_measured(client: Client) -> None:
    for service in ("ingest", "scoring", "handoff"):
        assert client.http.get(client.url(service, "/readyz")).json()["status"] == "ready"
        assert "kizashi_build_info" in client.http.get(client.url(service, "/metrics")).text
