"""The independent checker: the books beside what a plain program computes from what was sent. Pure.

It shares no code with the services: the demo's own grouping and scoring decide what must have come out.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import orjson

from deploy.chaos.books import Books
from deploy.chaos.receiver import name_of
from deploy.demo.expectation import ENTER, MODEL, Outcome, score
from deploy.demo.grouping import group, in_order
from deploy.demo.judging import check_lead, check_records, label_of
from deploy.demo.plain_model import PlainModel, read_model

RULE = "hot"


@dataclass(frozen=True, slots=True)
class Expected:
    """What must have come of one wave. `sent`: its activities ("source id") in the order of sending, each once."""

    activities: int
    sent: tuple[str, ...]
    outcomes: tuple[Outcome, ...]


def expect(posted: Iterable[dict[str, Any]], model: PlainModel | None = None) -> Expected:
    """What the activities of one wave must lead to, under the shipped model."""
    posted = list(posted)
    sent = tuple(dict.fromkeys(f"{activity['source']} {activity['id']}" for activity in posted))
    ordered = in_order(posted)
    model = model or read_model(MODEL)
    return Expected(len(ordered), sent, tuple(score(found, model) for found in group(ordered)))


def check(
    books: Books, waves: Iterable[Expected], broken: Mapping[bytes, int], doubtful: Collection[bytes]
) -> list[str]:
    """Every difference in words; empty where nothing was lost, doubled, reordered or left over.

    `broken`: how often each unreadable record was written; `doubtful`: those that may have been written once.
    """
    states, activities, hot = dict(books.states), 0, list[str]()
    differences: list[str] = []
    sent: dict[str, int] = {}
    for wave in waves:
        activities += wave.activities
        sent.update((name, len(sent) + at) for at, name in enumerate(wave.sent))
        for outcome in wave.outcomes:
            differences += _state_differs(states.pop(outcome.lead, None), outcome)
            if outcome.score >= ENTER:
                hot.append(outcome.lead)
    differences += [f"{label}: published, but nobody was to be called so" for label in states]
    differences += [f"{label}: two leads are called so" for label in books.labels_twice]
    differences += [
        f"{count:,} {name}, expected {activities:,}" for name, count in books.counts.items() if count != activities
    ]
    differences += check_records(books.qualified, hot, RULE)
    differences += _records_differ(books)
    differences += _deliveries_differ(books)
    differences += _versions_differ(books)
    differences += _order_differs(books, sent)
    differences += _letters_differ(books, broken, doubtful)
    differences += [f"{count:,} {name}" for name, count in books.left.items() if count]
    return differences


def _state_differs(value: bytes | None, outcome: Outcome) -> list[str]:
    if value is None:
        return [f"{outcome.lead}: never published"]
    state = orjson.loads(value)
    return check_lead({**state, **state["models"][state["primary"]]}, outcome)


def _records_differ(books: Books) -> Iterator[str]:
    published = Counter((record["lead"]["id"], record["rule"], record["cycle"]) for record in books.qualified)
    if books.uncommitted != len(books.qualified):
        yield f"{books.uncommitted:,} qualified leads for any reader, {len(books.qualified):,} for a careful one"
    for cycle in published.keys() - books.cycles.keys():
        yield f"{cycle}: published, but not stored"
    for cycle in books.cycles.keys() - published.keys():
        yield f"{cycle}: stored, but not published"
    for record in books.qualified:
        if not record["lead"].get("identifiers"):
            yield f"{label_of(record['lead'])}: handed over without identifiers"


def _deliveries_differ(books: Books) -> Iterator[str]:
    """Every record at least once, always under one id of its own, as it stands on the topic; and nothing else."""
    seen, records = books.delivered, {name_of(record): record for record in books.qualified}
    if seen is None:
        return
    for name in records.keys() - seen.answered:
        yield f"{name}: on the topic, but not delivered"
    for name, bodies in seen.bodies.items():
        if name not in records:
            yield f"{name}: delivered, but not on the topic"
        elif bodies != [records[name]]:
            yield f"{name}: delivered otherwise than it stands on the topic"
    yield from (f"{name}: delivered under {len(ids)} ids" for name, ids in seen.ids.items() if len(ids) > 1)
    yield from (f"{id_}: the id of {len(names)} leads" for id_, names in seen.events.items() if len(names) > 1)
    if seen.forged:
        yield f"{seen.forged:,} deliveries with a wrong signature"


def _order_differs(books: Books, sent: Mapping[str, int]) -> Iterator[str]:
    for names in books.order.values():
        for earlier, later in pairwise(names):
            if sent.get(earlier, -1) > sent.get(later, -1):
                yield f"{later}: stands behind {earlier} on the topic, but was sent before it"


def _letters_differ(books: Books, broken: Mapping[bytes, int], doubtful: Collection[bytes]) -> Iterator[str]:
    for value, count in broken.items():
        if books.letters[value] != count:
            yield f"{value!r}: {books.letters[value]} dead letters, expected {count}"
    for value, count in books.letters.items():
        if value not in broken and (value not in doubtful or count > 1):
            yield f"{value!r}: {count} dead letters, expected {int(value in doubtful)} at most"


def _versions_differ(books: Books) -> Iterator[str]:
    yield from (f"{told}: evaluated before the state before it" for told in books.backwards)
    for lead_id, versions in books.versions.items():
        if versions != list(range(1, len(versions) + 1)):
            yield f"{lead_id}: versions do not rise by one: {versions}"
    for lead_id, version in books.stored_versions.items():
        published = books.versions.get(lead_id, [0])[-1]
        if published != version:
            yield f"{lead_id}: version {version} is stored, {published} published"
