"""The word of sales, by HTTP and by topic: the same steps."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from services.handoff.core.answers import Answer, AnswerRecord
from services.handoff.core.ledger import Ledger
from services.handoff.core.states import IllegalStepError
from services.handoff.incoming import read_answer
from services.handoff.repository import HandoffRepository
from shared.errors import InvalidMessage, ProblemError
from shared.kafka.dead_letter import dead_letter
from shared.kafka.records import Record
from shared.outbox import OutboxRow

BY_TOPIC = "handoff-answers"


async def give_answer(
    conn: asyncpg.Connection, handoff_id: UUID, answer: Answer, by: str, now: datetime
) -> Sequence[OutboxRow]:
    """Move one handoff, inside the caller's transaction; its row is locked, so answers come one after the other.

    Returns what is to be published. Raises ProblemError 404 for an unknown id, 409 for an illegal step.
    """
    repository = HandoffRepository(conn)
    ledger = Ledger(await repository.lock_handoffs([str(handoff_id)]))
    if not ledger.handoffs:
        raise not_found()
    try:
        ledger.answer(str(handoff_id), answer.step(by=by, now=now), now)
    except IllegalStepError as error:
        raise ProblemError(409, "illegal_step", f"{str(error).capitalize()}.") from None
    await repository.put_handoffs(ledger)
    return ledger.published


async def take_answers(conn: asyncpg.Connection, records: Sequence[Record], now: datetime) -> list[OutboxRow]:
    """Give the answers of a batch, in order; one that cannot be taken becomes a dead letter that says why."""
    answers: list[tuple[Record, AnswerRecord]] = []
    published: list[OutboxRow] = []
    for record in records:
        try:
            answers.append((record, read_answer(record)))
        except InvalidMessage as error:
            published.append(dead_letter(record, str(error)))
    repository = HandoffRepository(conn)
    ledger = Ledger(await repository.lock_handoffs({str(answer.handoff_id) for _, answer in answers}))
    for record, answer in answers:
        try:
            ledger.answer(str(answer.handoff_id), answer.step(by=BY_TOPIC, now=now), now)
        except IllegalStepError as error:
            published.append(dead_letter(record, str(error)))
        except KeyError:
            published.append(dead_letter(record, "there is no handoff with this id"))
    await repository.put_handoffs(ledger)
    return [*published, *ledger.published]


def not_found() -> ProblemError:
    """The answer to an unknown id."""
    return ProblemError(404, "handoff_not_found", "There is no handoff with this id.")
