"""Taking the answer of sales: by HTTP and by topic, the same steps."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.handoff.batch import told
from services.handoff.core.states import check_answer, step
from services.handoff.repository import HandoffRepository, HandoffRow, HistoryRow
from shared.clock import from_rfc3339
from shared.errors import FieldFault, ProblemError
from shared.outbox import OutboxRow


class AnswerBody(BaseModel):
    """The body of `POST …/outcome`; on the topic `handoff_id` stands beside it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    outcome: str = Field(description="accepted, rejected, recycled, converted or lost", examples=["accepted"])
    reason: str | None = Field(default=None, max_length=2_000, description="Required for rejected and recycled.")
    until: str | None = Field(default=None, max_length=64, description="RFC 3339; until when a recycled lead rests.")
    by: str | None = Field(default=None, max_length=200, description="Who answered.")
    at: str | None = Field(default=None, max_length=64, description="RFC 3339; when. Default: now.")
    handoff_id: str | None = Field(default=None, max_length=64, description="On the topic `handoff-answers` only.")

    @classmethod
    def read(cls, raw: Any, *, with_id: bool) -> "AnswerBody":
        """Validate a body. Raises ProblemError 422 with a pointer to every fault."""
        try:
            body = cls.model_validate(raw)
        except ValidationError as error:
            faults = [
                FieldFault("/" + "/".join(str(part) for part in item["loc"]), item["msg"]) for item in error.errors()
            ]
            raise ProblemError(422, "invalid_fields", "The answer cannot be taken.", faults) from None
        if with_id and body.handoff_id is None:
            raise _fault("/handoff_id", "is required here")
        check_answer(body.outcome, body.reason)
        return body

    def step_of(self, handoff_id: str, now: datetime) -> HistoryRow:
        """The step this answer asks for."""
        return HistoryRow(
            handoff_id,
            self.outcome,
            _instant(self.at, "/at") or now,
            self.by,
            self.reason,
            _instant(self.until, "/until"),
        )


@dataclass(frozen=True, slots=True)
class Given:
    """The handoff after an answer, and what is to be published: nothing where it stood there already."""

    handoff: HandoffRow
    published: list[OutboxRow]


async def give_answer(conn: asyncpg.Connection, handoff_id: str, body: AnswerBody, now: datetime) -> Given:
    """Move one handoff, inside the caller's transaction; its row is locked, so that answers come one after the other.

    Raises ProblemError 404 for an unknown id, 409 for an illegal step, 422 for a faulty instant.
    """
    repository = HandoffRepository(conn)
    row = await repository.lock_handoff(handoff_id) if _is_uuid(handoff_id) else None
    if row is None:
        raise ProblemError(404, "handoff_not_found", "There is no handoff with this id.")
    asked = body.step_of(row.id, now)
    if not step(row.state, body.outcome):
        return Given(row, [])
    numbers = await repository.move([asked])
    row.state = body.outcome
    return Given(row, list(told([asked], {row.id: row}, numbers)))


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _instant(text: str | None, pointer: str) -> datetime | None:
    if text is None:
        return None
    try:
        return from_rfc3339(text)
    except ValueError as error:
        raise _fault(pointer, str(error)) from None


def _fault(pointer: str, detail: str) -> ProblemError:
    return ProblemError(422, "invalid_fields", "The answer cannot be taken.", [FieldFault(pointer, detail)])
