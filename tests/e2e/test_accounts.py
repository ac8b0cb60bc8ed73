"""Two colleagues: each explained by the command, together an account that crosses a rule of its own."""

import uuid
from typing import Any

from tests.e2e.client import Client, kizashi, wait_for


def seminars(email: str, count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{email}-{number}",
            "type": "seminar_attended",
            "lead": {"email": email},
            "attributes": {"company": "㈱サンプル"},
            "properties": {"event": f"seminar-{number}"},
        }
        for number in range(count)
    ]


def account(client: Client, domain: str, score: float) -> dict[str, Any] | None:
    """The account of a domain, once it has this score."""
    found = client.http.get(client.url("scoring", "/v1/accounts"), params={"q": domain}).json()["items"]
    return found[0] if found and found[0]["score"] == score else None


def test_colleagues_make_an_account_that_crosses_once(client: Client) -> None:
    domain = f"{uuid.uuid4().hex[:12]}.example.com"
    taro, jiro = f"taro@{domain}", f"jiro@{domain}"
    client.post(*seminars(taro, 5))
    wait_for(lambda: account(client, domain, 50))
    client.post(*seminars(jiro, 4))
    found = wait_for(lambda: account(client, domain, 70))
    whole = client.http.get(client.url("scoring", f"/v1/accounts/{found['id']}")).json()
    assert [(one["email"], one["score"]) for one in whole["contacts"]] == [(taro, 50), (jiro, 40)]
    assert (whole["name"], whole["scores"]["sum"], whole["active_contacts"]) == ("株式会社サンプル", 90, 2)

    def qualified() -> list[dict[str, Any]]:
        return [one for one in client.read("qualified-accounts") if one["account"]["id"] == found["id"]]

    (record,) = wait_for(qualified)
    assert (record["rule"], record["cycle"], record["score"]) == ("hot-account", 1, 70)
    states = [one for one in client.read("account-scores") if one["account_id"] == found["id"]]
    assert [one["version"] for one in states] == list(range(1, len(states) + 1))


def test_the_command_explains_a_lead_by_its_address(client: Client) -> None:
    email = f"{uuid.uuid4().hex[:12]}@example.co.jp"
    client.post(*seminars(email, 2))
    wait_for(lambda: (lead := client.lead(email)) and lead["score"] == 20)
    shown = kizashi(client.stack, "explain", email)
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.decode().splitlines()
    assert lines[0].startswith(f"{email}  20.00 points")
    assert any("seminar-attended" in line for line in lines)
    assert b'"difference"' in kizashi(client.stack, "explain", email, "--from", "2026-01-01T00:00:00Z", "--json").stdout
    nobody = kizashi(client.stack, "explain", "nobody@example.co.jp")
    assert (nobody.returncode, nobody.stdout) == (1, b"")
    assert kizashi(client.stack, "explain", email, "--at", "yesterday").returncode == 2
