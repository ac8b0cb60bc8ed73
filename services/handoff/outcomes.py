"""The word of sales, by HTTP and by topic: the same steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from services.handoff.batch import load, save
from services.handoff.core.answers import Answer, AnswerRecord
from services.handoff.core.judging import Judging
from services.handoff.core.rules import Rulebook
from services.handoff.core.states import IllegalStepError
from services.handoff.incoming import read_answer
from services.handoff.repository import HandoffRepository
from shared.errors import InvalidMessage, KizashiError, ProblemError
from shared.events import OutboxRow
from shared.kafka.dead_letter import dead_letter
from shared.kafka.records import Record

BY_TOPIC = "handoff-answers"


class UnusableAnswerError(KizashiError):
    """An answer with values that no step can be made of."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a transaction came to: the records to publish, dead letters included; model and grade of each qualified
    lead.
    """

    published: Sequence[OutboxRow]
    qualified: Sequence[tuple[str, str]] = ()


async def give_answer(
    conn: asyncpg.Connection, book: Rulebook, handoff_id: UUID, answer: Answer, by: str, now: datetime
) -> Done:
    """Move one handoff, inside the caller's transaction; its row is locked, so answers come one after the other.

    Raises ProblemError 422 for instants that no answer can have, 404 for an unknown id, 409 for an illegal step.
    """
    if faults := answer.untimely(now):
        raise ProblemError(422, "invalid_fields", "Some fields are not as expected.", faults)
    known_as = str(handoff_id)
    judging = await _load(conn, book, {known_as}, now)
    if known_as not in judging.ledger.handoffs:
        raise not_found()
    try:
        _take(judging, known_as, answer, by)
    except IllegalStepError as error:
        raise illegal(error) from None
    await save(conn, judging)
    return Done(judging.ledger.published, judging.ledger.qualified)


async def take_answers(conn: asyncpg.Connection, book: Rulebook, records: Sequence[Record], now: datetime) -> Done:
    """Give the answers of a batch, in order; one that cannot be taken becomes a dead letter that says why."""
    answers: list[tuple[Record, AnswerRecord]] = []
    letters: list[OutboxRow] = []
    for record in records:
        try:
            answers.append((record, read_answer(record, now)))
        except InvalidMessage as error:
            letters.append(dead_letter(record, str(error)))
    judging = await _load(conn, book, {str(answer.handoff_id) for _, answer in answers}, now)
    for record, answer in answers:
        try:
            _take(judging, str(answer.handoff_id), answer, BY_TOPIC)
        except (IllegalStepError, UnusableAnswerError) as error:
            letters.append(dead_letter(record, str(error)))
        except KeyError:
            letters.append(dead_letter(record, "there is no handoff with this id"))
    await save(conn, judging)
    return Done([*letters, *judging.ledger.published], judging.ledger.qualified)


async def _load(conn: asyncpg.Connection, book: Rulebook, handoff_ids: set[str], now: datetime) -> Judging:
    """The handoffs; of those that another rule follows the leads too, as an answer may let that rule be met."""
    leads = await HandoffRepository(conn).leads_of(handoff_ids, book.awaited) if book.awaited else []
    return await load(conn, book, leads, handoff_ids, now)


def _take(judging: Judging, handoff_id: str, answer: Answer, by: str) -> None:
    handoff = judging.ledger.handoffs[handoff_id]
    try:
        taken = judging.ledger.answer(handoff_id, answer.step(by=by, now=judging.now), judging.now)
    except (OverflowError, ValueError) as error:
        # It would be tried again for ever, and hold up everybody else's.
        raise UnusableAnswerError(f"cannot be reckoned with: {error}") from error
    if taken and handoff.lead_id in judging.leads:
        judging.reconsider(handoff.lead_id)


def not_found() -> ProblemError:
    """The answer to an unknown id."""
    return ProblemError(404, "handoff_not_found", "There is no handoff with this id.")


def illegal(error: IllegalStepError) -> ProblemError:
    """The answer to a step that a handoff cannot take."""
    return ProblemError(409, "illegal_step", f"{str(error).capitalize()}.")
