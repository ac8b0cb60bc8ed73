"""What a helper does with long bodies, and the service itself with short ones. Pure, and what goes in and out can be
pickled; no framework is loaded with it.
"""

from collections.abc import Sequence
from datetime import datetime

from services.ingest.intake import Arrival, Intake, Terms, take
from services.ingest.sources.base import Delivery, Options
from services.ingest.sources.receive import Received, receive
from services.ingest.sources.registry import SOURCES
from shared.codec import check_json


def read_posted(body: bytes, arrival: Arrival, terms: Terms) -> Intake:
    """Every activity of a body, or none. Raises ProblemError as `check_json` and `take` do."""
    return take(check_json(body), len(body), arrival, terms)


def read_delivery(
    adapter: str,
    delivery: Delivery,
    secrets: Sequence[str],
    options: Options,
    now: datetime,
    identity_key: bytes,
    *,
    shown: bool,
) -> tuple[Received, Intake]:
    """What became of a tool's request, and the activities that were taken from it.

    They stand in the first part too only if they are to be `shown` as posted. Raises nothing.
    """
    received = receive(SOURCES[adapter], delivery, secrets, now=now, options=options)
    intake = Intake()
    for taken in received.taken:
        intake.add(taken.activity, identity_key)
    if not shown:
        received.taken.clear()
    return received, intake
