"""What handoff tells on `lead-lifecycle`: leads that cooled or will cool, deadlines that passed, runs that are done."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.handoff.core.handoff import Handoff
from services.handoff.core.rules import Rule
from services.handoff.core.state import LeadState
from shared.clock import to_rfc3339
from shared.codec import encode
from shared.events import COOLED, COOLING, EXTRACTION_COMPLETED, HANDOFF_OVERDUE, OutboxRow, cloud_event_headers
from shared.topics import LEAD_LIFECYCLE

SOURCE = "kizashi/handoff"


@dataclass(frozen=True, slots=True)
class Breach:
    """A missed deadline: the first or the second under it, what it was for, when it was, what was done."""

    number: int
    which: str
    due_at: datetime
    action: str
    owner: str | None
    new_owner: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Extraction:
    """One collection of leads: a run of a rule with one record a lead (`records`), or a list of who is hot (`list`).

    `at` is when the run was due or the list was asked for; `place` is the last lead of a list that was looked at.
    """

    id: str
    rule: str
    key: str
    kind: str
    queue: str
    state: str
    at: datetime
    count: int = 0
    lapsed: int = 0
    place: str | None = None


def cooled(rule: Rule, state: LeadState, model: str, cycle: int) -> OutboxRow:
    """The lead fell below `leave` of a rule that it had met by its score."""
    body = {**_standing(rule, state, model, cycle), "at": to_rfc3339(state.evaluated_at)}
    return _row(COOLED, f"{state.lead_id}:{rule.id}:{state.version}:cooled", state.lead_id, state.evaluated_at, body)


def cooling(rule: Rule, state: LeadState, model: str, cycle: int, cools_at: datetime, at: datetime) -> OutboxRow:
    """The lead will fall below `leave` of a rule that it met by its score, if nothing else happens."""
    standing = _standing(rule, state, model, cycle)
    body = {**standing, "cools_at": to_rfc3339(cools_at), "at": to_rfc3339(at)}
    return _row(COOLING, f"{state.lead_id}:{rule.id}:{state.version}:cooling", state.lead_id, at, body)


def _standing(rule: Rule, state: LeadState, model: str, cycle: int) -> dict[str, Any]:
    now = state.models[model]
    return {
        "lead_id": state.lead_id,
        "rule": rule.id,
        "cycle": cycle or None,
        "score": now.score,
        "threshold": {"enter": rule.enter / 100, "leave": float(rule.leave / 100)},
        "model": {"name": model, "version": now.version},
    }


def overdue(handoff: Handoff, breach: Breach, head: str | None) -> OutboxRow:
    """A deadline of a handoff passed; `handoff` is as the breach left it."""
    body = {
        "handoff_id": handoff.id,
        "lead_id": handoff.lead_id,
        "rule": handoff.rule,
        "queue": handoff.queue,
        "owner": breach.owner,
        "head": head,
        "breach": breach.number,
        "which": breach.which,
        "due_at": to_rfc3339(breach.due_at),
        "action": breach.action,
        "new_owner": breach.new_owner,
        "at": to_rfc3339(breach.at),
    }
    return _row(HANDOFF_OVERDUE, f"{handoff.id}:{handoff.revision}:overdue", handoff.lead_id, breach.at, body)


def extraction_completed(extraction: Extraction, at: datetime) -> OutboxRow:
    """A collection is complete: its rows stay as they are."""
    body = {
        "extraction_id": extraction.id,
        "rule": extraction.rule,
        "run": extraction.key,
        "kind": extraction.kind,
        "queue": extraction.queue,
        "count": extraction.count,
        "at": to_rfc3339(at),
    }
    return _row(EXTRACTION_COMPLETED, f"{extraction.id}:completed", extraction.id, at, body)


def _row(type_: str, id_: str, key: str, at: datetime, body: dict[str, Any]) -> OutboxRow:
    headers = cloud_event_headers(id_=id_, source=SOURCE, type_=type_, time=to_rfc3339(at), key=key)
    return OutboxRow(LEAD_LIFECYCLE.name, key.encode(), encode(body), headers)
