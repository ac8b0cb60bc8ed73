"""A qualified lead on the running stack arrives as a signed webhook, and keeps its id when the service is killed."""

import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest
from standardwebhooks.webhooks import Webhook

from deploy.local.stack import Stack
from shared.codec import MAX_DEPTH
from tests.e2e.client import Client, wait_for
from tests.e2e.faults import kill
from tests.e2e.test_pipeline import make_hot, person, seminar


@dataclass
class Receiver:
    """What a sales system's webhook address took: headers and body of each request."""

    url: str
    took: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def of(self, email: str) -> list[tuple[dict[str, str], bytes]]:
        """Those about one person."""
        return [one for one in self.took if email.encode() in one[1]]


@pytest.fixture
def receiver(receiver_port: int) -> Iterator[Receiver]:
    found = Receiver(f"http://127.0.0.1:{receiver_port}/kizashi")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.took.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", receiver_port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def crm(client: Client, receiver: Receiver) -> Iterator[dict[str, Any]]:
    spec = {"kind": "webhook", "name": f"crm-{uuid.uuid4().hex}", "url": receiver.url, "events": ["*"]}
    made = client.http.post(client.url("handoff", "/v1/destinations"), json=spec)
    assert made.status_code == 201, made.text
    yield made.json()
    client.http.delete(client.url("handoff", f"/v1/destinations/{made.json()['id']}"))


def test_a_hot_lead_arrives_signed_and_so_does_its_outcome(
    stack: Stack, client: Client, receiver: Receiver, crm: dict[str, Any]
) -> None:
    email = person()
    make_hot(client, email)
    headers, body = wait_for(lambda: receiver.of(email))[0]
    event = Webhook(crm["secret"]).verify(body, headers)
    assert (event["type"], event["data"]["lead"]["identifiers"]["email"]) == ("lead.qualified.v1", email)
    handoff = event["data"]["handoff"]["id"]
    kill(stack, "handoff")
    wait_for(lambda: _answered(client, handoff))
    wait_for(lambda: [one for one in receiver.took if handoff.encode() in one[1] and b"outcome.v1" in one[1]])
    # Killed before it noted that it had delivered, it delivers once more, under the same id.
    wait_for(lambda: "lead.qualified.v1" in _attempted(client, crm["id"]))
    ids = {one[0]["webhook-id"] for one in receiver.of(email)}
    assert len(ids) == 1


@pytest.mark.usefixtures("crm")
def test_a_lead_whose_activity_is_nested_as_deep_as_may_be_reaches_sales(client: Client, receiver: Receiver) -> None:
    email = person()
    inner = json.loads("[" * (MAX_DEPTH - 2) + "]" * (MAX_DEPTH - 2))
    deepest = {**seminar(email, 9), "attributes": {"more": inner}, "properties": {"event": "deep", "more": inner}}
    posted = client.http.post(client.url("ingest", "/v1/activities"), json=deepest)
    assert posted.status_code == 202, posted.text
    assert make_hot(client, email)["state"] == "qualified"
    event = json.loads(wait_for(lambda: receiver.of(email))[0][1])
    assert event["data"]["lead"]["attributes"]["more"] == inner


def _attempted(client: Client, destination: str) -> set[str]:
    attempts = client.http.get(client.url("handoff", f"/v1/destinations/{destination}/attempts")).json()["items"]
    return {json.loads(one["request"]["body"])["type"] for one in attempts}


def _answered(client: Client, handoff: str) -> bool:
    try:
        return client.answer(handoff, outcome="accepted").status_code == 200
    except httpx2.TransportError:  # killed, and not back yet
        return False
