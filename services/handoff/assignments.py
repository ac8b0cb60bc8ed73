"""A handoff given to somebody else by hand."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import asyncpg
from pydantic import BaseModel, ConfigDict, Field

from services.handoff.core.assigning import Assigner
from services.handoff.core.ledger import Ledger
from services.handoff.core.rules import Rulebook
from services.handoff.core.states import IllegalStepError
from services.handoff.notes import Notes
from services.handoff.outcomes import illegal, not_found
from services.handoff.repository import HandoffRepository
from services.handoff.timers import assigner_of
from shared.events import OutboxRow


class Assignment(BaseModel):
    """Whose a handoff becomes. `owner` left out: the next member of the queue who has not had it; null: nobody's."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        str_strip_whitespace=True,
        json_schema_extra={"example": {"owner": "suzuki", "reason": "on holiday", "by": "tanaka"}},
    )

    owner: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=100,
            description="A name, also of somebody who is no member; null gives it back to the queue.",
        ),
    ] = None
    reason: Annotated[str | None, Field(max_length=2_000)] = None
    by: Annotated[str | None, Field(max_length=200, description="Who says so. Default: the key's name.")] = None


async def assign(
    conn: asyncpg.Connection, book: Rulebook, handoff_id: UUID, assignment: Assignment, by: str, now: datetime
) -> Sequence[OutboxRow]:
    """Give it, inside the caller's transaction. Raises ProblemError 404 for an unknown id, 409 where it is closed or
    not handed over yet.
    """
    known_as, repository = str(handoff_id), HandoffRepository(conn)
    ledger = Ledger(await repository.lock_handoffs([known_as]), book)
    if known_as not in ledger.handoffs:
        raise not_found()
    ledger.expire_if_due(known_as, now)
    assigner = await assigner_of(conn, ledger, now)
    try:
        await _give(repository, assigner, known_as, assignment, by)
    except IllegalStepError as error:
        raise illegal(error) from None
    await Notes(conn).put_workload(assigner.workload)
    await repository.put_handoffs(ledger)
    return ledger.published


async def _give(
    repository: HandoffRepository, assigner: Assigner, known_as: str, assignment: Assignment, by: str
) -> None:
    handoff, who = assigner.ledger.handoffs[known_as], assignment.by or by
    if "owner" not in assignment.model_fields_set:
        states = await repository.last_states([handoff.lead_id])
        tried = (await repository.owners_of([known_as])).get(known_as, set())
        assigner.reassign(handoff, states.get(handoff.lead_id), who, assignment.reason, tried)
    elif assignment.owner != handoff.owner:
        assigner.give(handoff, assignment.owner, who, assignment.reason or "by hand")
