"""What the people who fade must have come to: every published state worked out anew from what it says was known.

Shares no code with the services, and none with the checker of the steady load.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import asyncpg
import orjson

from deploy.chaos.books import Books
from deploy.chaos.fading import DOMAIN, Fading
from deploy.chaos.fading_model import EVERY_S, MANY, MODEL, SILENCE, WATCH, WITHIN_S, Numbers
from shared.kafka.reading import reading
from shared.settings import KafkaSettings
from shared.topics import LEAD_SCORES

LATE_S = 120.0
"""The timer is right to the minute; the rest is for processes that were killed or stopped meanwhile."""
WRONG_CLOCK_S = 5.0
QUIET_WITHIN_S = 480.0
_DUE = "SELECT count(*) FROM scoring.due WHERE at < $1"
_UNDER_WAY = "SELECT count(*) FROM scoring.refold WHERE finished_at IS NULL"
_SENT = "SELECT count(*) FROM scoring.activity WHERE source = $1"


@dataclass(frozen=True, slots=True)
class Published:
    """One state of a lead as published; `at` is when Kafka got it, in seconds since 1970."""

    at: float
    state: Mapping[str, Any]

    @property
    def evaluated(self) -> datetime:
        """The instant it is about."""
        return datetime.fromisoformat(self.state["evaluated_at"])

    @property
    def clock_was_right(self) -> bool:
        """Whether the service's clock was that of everybody else."""
        return abs(self.evaluated.timestamp() - self.at) <= WRONG_CLOCK_S

    @property
    def email(self) -> str:
        """Who it is."""
        return str(self.state["identifiers"]["email"] or "")


async def left_to_do(connection: asyncpg.Connection) -> dict[str, int]:
    """What timer and publications have not done yet; empty when all is quiet."""
    # All that fades is gone by then: what is due later was noted by a clock an hour fast, and is put right when it is.
    soon = datetime.now(UTC) + timedelta(seconds=QUIET_WITHIN_S)
    found = {
        "leads that are due": await connection.fetchval(_DUE, soon),
        "publications under way": await connection.fetchval(_UNDER_WAY),
    }
    return {name: count for name, count in found.items() if count}


async def until_quiet(database: str) -> None:
    """Wait until nothing fades any more and every lead was switched, or for as long as that may take."""
    connection = await asyncpg.connect(database)
    try:
        deadline = time.monotonic() + QUIET_WITHIN_S
        while await left_to_do(connection) and time.monotonic() < deadline:  # noqa: ASYNC110 - it happens elsewhere
            await asyncio.sleep(1.0)
    finally:
        await connection.close()


async def check_fading(books: Books, fading: Fading, kafka: KafkaSettings, database: str) -> list[str]:
    """Every difference in words; takes the people it knows out of the books."""
    connection = await asyncpg.connect(database)
    try:
        differences = [f"{count:,} {name}" for name, count in (await left_to_do(connection)).items()]
        stored = await connection.fetchval(_SENT, DOMAIN)
    finally:
        await connection.close()
    if stored != len(fading.sent):
        differences.append(f"{stored:,} activities of people who fade, expected {len(fading.sent):,}")
    _set_apart(books, fading)
    published, end = await _published(kafka)
    differences += _versions_differ(published, fading)
    for states in published.values():
        if states[-1].email.endswith(DOMAIN):
            fading.people, fading.states = fading.people + 1, fading.states + len(states)
            fading.by_time += sum(one.state["cause"] == "time" for one in states)
            differences += lead_differs(states, fading, end)
    return differences


def _set_apart(books: Books, fading: Fading) -> None:
    for label in [label for label in books.states if label.endswith(DOMAIN)]:
        del books.states[label]
    for name in books.counts:
        books.counts[name] -= len(fading.sent)


async def _published(kafka: KafkaSettings) -> tuple[dict[str, list[Published]], float]:
    """Every state of every lead that still stands for itself, in order; and when the last of all came."""
    found: dict[str, list[Published]] = defaultdict(list)
    end = 0.0
    async with reading(kafka, LEAD_SCORES.name) as opened:
        async for records in opened.until_end():
            for record in records:
                key = (record.key or b"").decode()
                end = max(end, record.timestamp / 1000)
                if record.value is None:
                    found.pop(key, None)
                else:
                    found[key].append(Published(record.timestamp / 1000, orjson.loads(record.value)))
    return found, end


def _versions_differ(published: Mapping[str, Sequence[Published]], fading: Fading) -> Iterator[str]:
    """Whether every lead of all ends with the models in force."""
    wanted = {"b2b-standard": fading.primary, MODEL: max(fading.published)}
    for lead_id, states in published.items():
        got = {name: model["version"] for name, model in states[-1].state["models"].items()}
        if got != wanted:
            yield f"{lead_id}: ends with the models {got}, expected {wanted}"


def lead_differs(states: Sequence[Published], fading: Fading, end: float) -> Iterator[str]:
    """What is wrong with the states of one person; `end` is the last moment that is looked at."""
    email = states[-1].email
    for one in states:
        model = one.state["models"][MODEL]
        expected = engagement(one.state, fading.published[model["version"]], one.evaluated)
        if round(model["engagement"] * 100) != expected:
            yield f"{email}: engagement {model['engagement']} at {one.evaluated}, expected {expected / 100}"
        if not _manual_is_right(one, fading.given.get(one.email)):
            yield f"{email}: {model['manual']} points by hand at {one.evaluated}"
    for before, after in pairwise(states):
        by_time = after.state["cause"] == "time" and before.clock_was_right and after.clock_was_right
        if by_time and not _moved(before.state, after.state):
            yield f"{email}: published because of time, though nothing mattered: {_told(before)}, then {_told(after)}"
    yield from _late(states, fading, end)


def _told(one: Published) -> str:
    models = {
        name: [model[part] for part in ("version", "score", "engagement", "manual", "stage")]
        for name, model in one.state["models"].items()
    }
    recent = [f"{done['type']} {done['occurred_at']}" for done in one.state["recent_activities"][:3]]
    return f"version {one.state['version']} by {one.state['cause']} at {one.evaluated}: {models}, latest {recent}"


def _manual_is_right(one: Published, given: tuple[int, datetime] | None) -> bool:
    """A lead that took over another has that one's points as well: what is asked is that nothing is invented."""
    manual = round(one.state["models"][MODEL]["manual"] * 100)
    if given is None or manual not in (0, given[0]):
        return manual == 0 or len(one.state["identifiers"]["emails"]) > 1
    return manual == 0 or one.evaluated < given[1]


def _late(states: Sequence[Published], fading: Fading, end: float) -> Iterator[str]:
    """Whether time had moved a lead by what matters for long, and nobody was told."""
    for one, until in zip(states, [*(later.at for later in states[1:]), end], strict=True):
        then = until - LATE_S
        if then <= one.at or not one.clock_was_right:
            continue
        numbers = fading.published[one.state["models"][MODEL]["version"]]
        was = round(one.state["models"][MODEL]["engagement"] * 100)
        by_then = engagement(one.state, numbers, datetime.fromtimestamp(then, one.evaluated.tzinfo))
        if abs(was - by_then) >= 100 or any((was >= mark) != (by_then >= mark) for mark in WATCH):
            yield f"{one.email}: stood at {by_then / 100} by {then:.0f}, told was {was / 100} until {until:.0f}"


def _moved(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether some model's score moved by a point, over a watched total, or to another band."""
    for name, now in after["models"].items():
        was = before["models"].get(name)
        if was is None or was["version"] != now["version"]:
            return True
        if any(was[band] != now[band] for band in ("grade", "level", "stage")):
            return True
        if abs(round(was["score"] * 100) - round(now["score"] * 100)) >= 100:
            return True
        marks = (*WATCH, 4_500, 5_000)
        if any((was["score"] * 100 >= mark) != (now["score"] * 100 >= mark) for mark in marks):
            return True
    return False


def engagement(state: Mapping[str, Any], numbers: Numbers, at: datetime) -> int:
    """In cents, from the activities that a state shows."""
    done = [(one["type"], datetime.fromisoformat(one["occurred_at"])) for one in state["recent_activities"]]
    ages = [(kind, at - then) for kind, then in done if then <= at]
    if not ages:
        return 0
    views = [age for kind, age in ages if kind == "page_viewed"]
    total = sum(numbers.view * 100 for age in views if age < timedelta(seconds=numbers.window_s))
    faded = [
        numbers.download * 100 * 2.0 ** -(age / timedelta(seconds=numbers.half_life_s))
        for kind, age in ages
        if kind == "document_downloaded"
    ]
    total += round(sum(cents for cents in faded if cents >= 1))
    if len([age for age in views if age < timedelta(seconds=WITHIN_S)]) >= MANY:
        total += numbers.often * 100
    silent = min(age for _, age in ages) // timedelta(seconds=EVERY_S)
    cents: int = max(min(total, 0), total - silent * SILENCE * 100)
    return cents
