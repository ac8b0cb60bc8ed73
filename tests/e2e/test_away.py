"""A server is away for a while: what is said meanwhile, and that everything counts once it is back."""

import time
import uuid
from functools import partial

import pytest

from deploy.local.stack import Stack
from tests.e2e.client import Client, wait_for
from tests.e2e.faults import kept_down

BACK_WITHIN_S = 90.0


def says(client: Client, service: str, status: int, text: str) -> bool:
    """Whether `/readyz` answers with this status and names this."""
    answer = client.http.get(client.url(service, "/readyz"))
    return answer.status_code == status and text in answer.text


@pytest.mark.parametrize("seconds", [2.0, pytest.param(60.0, marks=pytest.mark.long)])
def test_without_postgresql_activities_wait_and_services_say_so(stack: Stack, client: Client, seconds: float) -> None:
    people = [f"{uuid.uuid4().hex}@example.co.jp" for _ in range(5)]
    with kept_down(stack, "postgres"):
        began = time.monotonic()
        for service in ("scoring", "handoff"):
            wait_for(partial(says, client, service, 503, "postgres"), BACK_WITHIN_S)
        assert client.http.get(client.url("scoring", "/healthz")).status_code == 200
        assert says(client, "ingest", 200, "ready")
        for email in people:
            taken = client.post({"id": email, "type": "seminar_attended", "lead": {"email": email}})
            assert taken["durability"] == "kafka"
        refused = client.http.get(client.url("scoring", "/v1/leads"), params={"email": people[0]})
        assert refused.status_code == 503
        time.sleep(max(0.0, seconds - (time.monotonic() - began)))
    for email in people:
        assert wait_for(partial(client.lead, email), BACK_WITHIN_S)["score"] == 10
    for service in ("scoring", "handoff"):
        wait_for(partial(says, client, service, 200, "ready"), BACK_WITHIN_S)
