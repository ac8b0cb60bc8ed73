"""Those who read our topics with what they have: the example of the documents, and the CloudEvents library."""

import subprocess
import sys
import uuid
from pathlib import Path

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from cloudevents.core.formats.json import JSONFormat

from tests.e2e.client import Client
from tests.e2e.test_pipeline import make_hot, person

SUBSCRIBER = Path(__file__).parents[2] / "docs" / "examples" / "subscriber.py"


def subscribe(client: Client, group: str) -> str:
    """The first line the documented subscriber prints."""
    command = [sys.executable, str(SUBSCRIBER), client.stack.addresses.bootstrap_servers, group, "1"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    return done.stdout.decode()


def test_the_documented_subscriber_prints_leads_and_goes_on_where_it_was(client: Client) -> None:
    for _ in range(2):
        make_hot(client, person())
    group = f"test-{uuid.uuid4().hex}"
    first, second = subscribe(client, group), subscribe(client, group)
    assert "seminar-attended" in first
    assert "@" in first.split()[1]
    assert first.split()[0] != second.split()[0]


def test_records_are_events_to_the_cloudevents_library(client: Client) -> None:
    make_hot(client, person())
    for topic, type_ in (("qualified-leads", "lead.qualified.v1"), ("lead-activities", "lead.activity.v1")):
        found = next(one for one in client.records(topic) if dict(one.headers).get("ce_type") == type_.encode())
        message = KafkaMessage(headers=dict(found.headers), key=found.key, value=found.value or b"")
        event = from_binary_event(message, JSONFormat())
        assert event.get_type() == type_
        assert event.get_id()
        assert isinstance(event.get_data(), dict)
