"""More than one way to sales: the call desk at once, field sales after inside sales."""

from typing import Any

from tests.e2e.client import Client, wait_for
from tests.e2e.test_pipeline import person, seminar


def by_rule(client: Client, lead_id: str) -> dict[str, dict[str, Any]]:
    return {handoff["rule"]: handoff for handoff in client.handoffs(lead_id)}


def test_who_asks_for_a_demo_is_called_whatever_the_score(client: Client) -> None:
    email = person()
    asked = {**seminar(email, 0), "type": "demo_requested", "attributes": {"wants_call": "yes"}}
    client.post(asked)
    lead = wait_for(lambda: client.lead(email))
    handoff = wait_for(lambda: by_rule(client, lead["id"]).get("call"))
    assert lead["score"] < 1_000
    assert (handoff["queue"], handoff["owner"], handoff["state"]) == ("phone", "mori", "qualified")
    (record,) = [one for one in client.read("qualified-leads") if one["handoff"]["id"] == handoff["id"]]
    assert record["handoff"]["owner"] == "mori"
    assert record["recent_activities"][0]["type"] == "demo_requested"


def test_field_sales_gets_the_lead_once_inside_sales_has_accepted_it(client: Client) -> None:
    email = person()
    activities = [seminar(email, number) for number in range(5)]
    for activity in activities:
        client.post({**activity, "attributes": {**activity["attributes"], "second_level": "yes"}})
    lead = wait_for(lambda: (found := client.lead(email)) and found["score"] >= 50 and found)
    handoff = wait_for(lambda: by_rule(client, lead["id"]).get("hot"))
    assert "field" not in by_rule(client, lead["id"])
    assert handoff["respond_by"] is not None
    assert client.answer(handoff["id"], outcome="accepted", by="sato").json()["decide_by"] is not None
    field = by_rule(client, lead["id"])["field"]
    assert (field["queue"], field["owner"]) == ("field-sales", None)

    def told() -> list[str]:
        records = [one for one in client.read("qualified-leads") if one["lead"]["id"] == lead["id"]]
        return [one["rule"] for one in records] if len(records) == 2 else []

    assert wait_for(told) == ["hot", "field"]
