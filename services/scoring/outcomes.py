"""What became of leads: from `handoff-outcomes`, and from files of a CRM's own."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, StringConstraints

from services.scoring.offline import Text, read_lines
from shared.clock import from_micros, from_rfc3339, is_reckonable
from shared.codec import MESSAGE_DEPTH, JsonFault, decode
from shared.errors import FieldFault
from shared.identity import normalise_email
from shared.kafka.reading import reading
from shared.posted import ActivityFaults, validate
from shared.settings import KafkaSettings
from shared.topics import HANDOFF_OUTCOMES

CONVERTED = "converted"
FINAL = frozenset({CONVERTED, "lost", "rejected", "recycled"})
"""What counts as a judgement; a handoff that is open, expired or merged away is none."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a lead. `lead` is its id, or what it is known as in files: an address, `source:id`."""

    lead: str
    at: datetime
    converted: bool


class _OutcomeLine(BaseModel):
    """One line of --outcomes."""

    model_config = ConfigDict(strict=True, extra="ignore")

    lead: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    outcome: Literal["converted", "lost", "rejected", "recycled"]
    at: str


def read_outcomes(text: Text) -> list[Outcome]:
    """Lines `{"lead", "outcome", "at"}`. Raises FileFaults with every faulty one."""
    return read_lines(text, _outcome)


def _outcome(raw: Any) -> Outcome:
    line = validate(_OutcomeLine, raw)
    try:
        at = from_rfc3339(line.at)
    except ValueError as error:
        raise ActivityFaults([FieldFault("/at", str(error))]) from None
    if not is_reckonable(at):
        raise ActivityFaults([FieldFault("/at", "expected an instant between 1970 and 9000")])
    try:
        lead = normalise_email(line.lead)
    except ValueError:
        lead = line.lead
    return Outcome(lead, at, line.outcome == CONVERTED)


async def topic_outcomes(kafka: KafkaSettings) -> list[Outcome]:
    """Every judgement on the topic, by lead id. Raises KizashiError where there is no such topic."""
    found = []
    async with reading(kafka, HANDOFF_OUTCOMES.name) as opened:
        async for records in opened.until_end():
            for record in records:
                outcome = _of_record(record.value, record.timestamp)
                if outcome is not None:
                    found.append(outcome)
    return found


def _of_record(value: bytes | None, timestamp_ms: int) -> Outcome | None:
    try:
        body = decode(value or b"null", MESSAGE_DEPTH)
        if not isinstance(body, Mapping) or body["outcome"] not in FINAL:
            return None
        at = from_rfc3339(body["at"])
        # What cannot be reckoned with was decided when it was told.
        at = at if is_reckonable(at) else from_micros(timestamp_ms * 1_000)
        return Outcome(body["lead_id"], at, body["outcome"] == CONVERTED)
    except (JsonFault, KeyError, TypeError, ValueError, orjson.JSONDecodeError):
        return None  # not one of ours; handoff alone writes here


def one_per_lead(outcomes: Iterable[Outcome]) -> Mapping[str, Outcome]:
    """Of several judgements of a lead its first conversion, else its last refusal."""
    chosen: dict[str, Outcome] = {}
    for outcome in sorted(outcomes, key=lambda one: one.at):
        known = chosen.get(outcome.lead)
        if known is None or not known.converted:
            chosen[outcome.lead] = outcome
    return chosen


def instants_of(outcomes: Mapping[str, Outcome]) -> Sequence[datetime]:
    """When leads were judged."""
    return [outcome.at for outcome in outcomes.values()]
