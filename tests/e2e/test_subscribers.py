"""Those who read our topics with what they have: the example of the documents, and the CloudEvents library."""

import subprocess
import sys
import uuid
from pathlib import Path

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from cloudevents.core.formats.json import JSONFormat

from tests.e2e.client import Client, wait_for
from tests.e2e.test_pipeline import make_hot, person

SUBSCRIBER = Path(__file__).parents[2] / "docs" / "examples" / "subscriber.py"


def subscribe(client: Client, group: str, count: int) -> list[list[str]]:
    """The words of the next `count` lines that the documented subscriber prints: event id, address, score, reasons."""
    command = [sys.executable, str(SUBSCRIBER), client.stack.addresses.bootstrap_servers, group, str(count)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    return [line.split() for line in done.stdout.decode().splitlines()]


def test_the_documented_subscriber_prints_leads_and_goes_on_where_it_was(client: Client) -> None:
    group, first, second = f"test-{uuid.uuid4().hex}", person(), person()
    make_hot(client, first)
    wait_for(lambda: qualified(client, first))
    count = len(client.read("qualified-leads"))
    lines = subscribe(client, group, count)
    assert len({line[0] for line in lines}) == count
    (line,) = [line for line in lines if line[1] == first]
    assert "seminar-attended" in line
    make_hot(client, second)
    assert [line[1] for line in subscribe(client, group, 1)] == [second]


def qualified(client: Client, email: str) -> bool:
    """Whether there is a record of this person."""
    return any(record["lead"]["identifiers"]["email"] == email for record in client.read("qualified-leads"))


def test_records_are_events_to_the_cloudevents_library(client: Client) -> None:
    make_hot(client, person())
    for topic, type_ in (("qualified-leads", "lead.qualified.v1"), ("lead-activities", "lead.activity.v1")):
        found = next(one for one in client.records(topic) if dict(one.headers).get("ce_type") == type_.encode())
        message = KafkaMessage(headers=dict(found.headers), key=found.key, value=found.value or b"")
        event = from_binary_event(message, JSONFormat())
        assert event.get_type() == type_
        assert event.get_id()
        assert isinstance(event.get_data(), dict)
