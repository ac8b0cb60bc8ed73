"""The measured webhook is one that a SendGrid source takes as it stands in the measurements' configuration."""

from datetime import UTC, datetime

from deploy.bench.cases import webhook
from deploy.bench.rig import CONFIG
from services.ingest.sources.base import Delivery, Headers
from services.ingest.sources.file import load_webhooks
from services.ingest.sources.receive import receive

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_its_signed_batches_are_genuine_and_understood() -> None:
    source = load_webhooks(CONFIG, {})[webhook.SOURCE]
    ids = set()
    for body, lines in webhook.requests():
        headers = Headers(tuple(line.split(": ", 1)) for line in lines)  # type: ignore[misc]
        delivery = Delivery("POST", "https://localhost/", headers, body)
        received = receive(source.adapter, delivery, source.secrets, now=NOW, options=source.options)
        assert received.verdict.valid, received.verdict
        assert (len(received.taken), received.refused, received.ignored) == (webhook.EVENTS, [], [])
        ids |= {taken.activity.id for taken in received.taken}
    assert len(ids) == webhook.BODIES * webhook.EVENTS
