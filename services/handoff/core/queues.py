"""A queue ready to work with: its people, its calendar, its deadlines."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from services.handoff.core.business import BusinessCalendar, calendar_of, plainly_after
from services.handoff.core.file import Member, Queue
from services.handoff.core.values import WorkSpan
from shared.identity import fold_text


@dataclass(frozen=True, slots=True, eq=False)
class ReadyQueue:
    """A queue as rules hand over to it. Account owners are kept by folded domain or account id."""

    name: str
    members: tuple[Member, ...] = ()
    head: str | None = None
    owners: Mapping[str, str] = field(default_factory=dict)
    language: str = "language"
    region: str = "region"
    account: str = "account_id"
    calendar: BusinessCalendar | None = None
    respond_within: WorkSpan | None = None
    decide_within: WorkSpan | None = None

    def deadline(self, start: datetime, within: WorkSpan | None) -> datetime | None:
        """When so much of the queue's time is over; None where there is no such span."""
        if within is None:
            return None
        return plainly_after(start, within.span) if self.calendar is None else self.calendar.add(start, within)

    def working_day(self, at: datetime) -> date:
        """The day whose capacity a lead takes up that comes in at `at`."""
        return at.astimezone(UTC).date() if self.calendar is None else self.calendar.working_day(at)

    def next_opening(self, day: date) -> datetime:
        """When the working day after `day` begins."""
        if self.calendar is not None:
            return self.calendar.opening(day)
        return datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)


def ready_queue(name: str, queue: Queue) -> ReadyQueue:
    """A queue of the file, made ready."""
    return ReadyQueue(
        name=name,
        members=tuple(queue.members),
        head=queue.head,
        owners={fold_text(account): owner for account, owner in queue.owners.items()},
        language=queue.language,
        region=queue.region,
        account=queue.account,
        calendar=calendar_of(queue.calendar) if queue.calendar else None,
        respond_within=queue.respond_within,
        decide_within=queue.decide_within,
    )
