"""Business cards, a mail, one particular link, a telephone call: and what the mail seems to have changed."""

import json
import uuid
from pathlib import Path
from typing import Any

import httpx2

from tests.e2e.client import Client, kizashi, wait_for
from tests.e2e.test_import import told, write

PRICE = "https://www.example.co.jp/price"


def mailed(email: str, mail: str, type_: str = "email_delivered") -> dict[str, Any]:
    return {
        "id": f"{email}-{type_}",
        "type": type_,
        "lead": {"email": email},
        "attributes": {"wants_call": "yes"},
        "properties": {"email_id": mail, "campaign": mail},
    }


def report(client: Client, *arguments: str) -> dict[str, Any]:
    done = kizashi(client.stack, "report", *arguments, "--json")
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_who_clicks_the_price_is_called(client: Client, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex[:8]
    people = [f"{name}.{mark}@example.co.jp" for name in ("taro", "jiro", "hana")]
    cards = write(tmp_path, *(f"㈱サンプル,製造部,課長,山田 {one[:4]},{one},,2026/05/27" for one in people))
    assert told(client, cards)[-1]["summary"]["accepted"] == 3
    client.post(*(mailed(one, mark) for one in people))

    made = kizashi(
        client.stack, "links", "create", f"price={PRICE}", "--email", people[0], "--email-id", mark, "--campaign", mark,
        "--base-url", client.url("ingest", ""), "--json",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr.decode()
    clicked = httpx2.get(json.loads(made.stdout)["link_price"], headers={"User-Agent": "Mozilla/5.0 Firefox/140"})
    assert (clicked.status_code, clicked.headers["location"]) == (302, PRICE)

    lead = wait_for(lambda: client.lead(people[0]))
    called = wait_for(lambda: [one for one in client.handoffs(lead["id"]) if one["rule"] == "call"], 60)
    assert (called[0]["queue"], called[0]["owner"]) == ("phone", "mori")
    assert client.handoffs(wait_for(lambda: client.lead(people[1]))["id"]) == []

    client.answer(called[0]["id"], outcome="accepted", by="mori")
    client.post(mailed(people[0], mark, "meeting_booked"))
    wait_for(lambda: report(client, "responses", "--email-id", mark)["responded"]["hits"] == 1)
    found = report(client, "responses", "--email-id", mark, "--link", "/price")
    assert (found["responded"]["of"], found["not_responded"]) == (1, {**found["not_responded"], "hits": 0, "of": 2})
    assert "no experiment" in found["warnings"][0]
    items = report(client, "handoffs", "--by", "campaign,rule")["items"]
    (own,) = [one for one in items if one["campaign"] == mark]
    assert (own["rule"], own["qualified"], own["accepted"]) == ("call", 1, 1)
