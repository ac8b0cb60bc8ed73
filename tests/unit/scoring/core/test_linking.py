"""Leads are the same sets of activities, whatever the order in which these arrive."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.core.linking import KnownOwners, Owner, place, resolve_cluster
from services.scoring.core.resolution import resolve_leads
from shared.activity import Activity
from shared.identity import ANONYMOUS, EMAIL, EXTERNAL, PHONE, Identifier, lead_id_for
from tests.properties import few

START = datetime(2026, 1, 1, tzinfo=UTC)


def id_for(identifier: Identifier) -> str:
    return lead_id_for(b"secret", identifier)


def activity(number: int, day: int, *names: str) -> Activity:
    """An activity whose identifiers are written as e1 (e-mail), x1 (external), p1 (phone), a1 (browser)."""
    kinds = {"e": EMAIL, "x": EXTERNAL, "p": PHONE, "a": ANONYMOUS}
    identifiers = tuple(
        Identifier(kinds[name[0]], name) for name in sorted(names, key=lambda name: ("expa".index(name[0]), name))
    )
    return Activity(
        str(number), "test", "page_viewed", START + timedelta(days=day), None, identifiers, None, {}, {}, None, ()
    )


class Store:
    """What the database holds, in memory, moved by the same pure decisions as the consumer's."""

    def __init__(self) -> None:
        self.owners: dict[Identifier, Owner] = {}
        self.leads: dict[str, list[Activity]] = defaultdict(list)
        self.redirects: dict[str, str] = {}
        self.joined: dict[str, datetime] = {}

    def receive(self, batch: list[Activity]) -> None:
        known = {i: self.owners[i] for item in batch for i in item.identifiers if i in self.owners}
        with_email = frozenset(owner.lead_id for i, owner in self.owners.items() if i.kind == EMAIL)
        placement = place(batch, KnownOwners(known, {}, with_email, self.joined), id_for)
        self.owners.update(placement.owners)
        self.joined.update(placement.joined)
        for item in batch:
            self.leads[placement.lead_of[item.source, item.id]].append(item)
        for cluster in placement.clusters:
            self._resolve(cluster)

    def _resolve(self, cluster: set[str]) -> None:
        held = {
            lead_id: [i for i, owner in self.owners.items() if owner.lead_id == lead_id]
            for lead_id in cluster
            if self.leads.get(lead_id)
        }
        items = [item for lead_id in cluster for item in self.leads.pop(lead_id, [])]
        foreign = {i for item in items for i in item.identifiers if self.owners[i].lead_id not in cluster}
        resolved = resolve_cluster(held, items, foreign, id_for)
        self.owners.update(resolved.owners)
        self.leads.update({name: list(group.activities) for name, group in resolved.groups.items()})
        self.joined.update({name: group.joined[0] for name, group in resolved.groups.items() if group.joined})
        self.redirects.update(resolved.merged)

    def named(self) -> dict[str, frozenset[str]]:
        """The ids of the activities of each lead."""
        return {lead_id: frozenset(item.id for item in items) for lead_id, items in self.leads.items() if items}

    def partition(self) -> set[frozenset[str]]:
        return set(self.named().values())


names = st.sets(st.sampled_from(["e1", "e2", "e3", "x1", "x2", "p1", "p2", "a1", "a2"]), min_size=1, max_size=4).filter(
    lambda chosen: (
        sum(name[0] == "e" for name in chosen) <= 1
        and sum(name[0] == "p" for name in chosen) <= 1
        and sum(name[0] == "a" for name in chosen) <= 1
    )
)
histories = st.lists(st.tuples(st.integers(0, 8), names), min_size=1, max_size=12).map(
    lambda items: [activity(number, day, *chosen) for number, (day, chosen) in enumerate(items)]
)


@few(100)
@given(histories, st.randoms(use_true_random=False), st.integers(1, 5))
def test_arrival_order_and_batches_change_neither_the_leads_nor_their_ids(
    history: list[Activity], random: object, size: int
) -> None:
    expected = {
        id_for(group.named_by): frozenset(item.id for item in group.activities)
        for group in resolve_leads(history)
        if group.activities
    }
    arrival = list(history)
    random.shuffle(arrival)  # type: ignore[attr-defined]
    store = Store()
    for start in range(0, len(arrival), size):
        store.receive(arrival[start : start + size])
    assert store.named() == expected


def test_an_anonymous_history_joins_the_email_that_identifies_it() -> None:
    store = Store()
    store.receive([activity(1, 1, "a1"), activity(2, 2, "a1")])
    store.receive([activity(3, 3, "e1", "a1")])
    assert store.partition() == {frozenset({"1", "2", "3"})}
    assert store.redirects == {id_for(Identifier(ANONYMOUS, "a1")): id_for(Identifier(EMAIL, "e1"))}


def test_a_shared_browser_belongs_to_the_email_it_appeared_with_first() -> None:
    store = Store()
    store.receive([activity(1, 5, "e1", "a1"), activity(2, 6, "e2", "a1"), activity(3, 7, "a1")])
    assert store.partition() == {frozenset({"1", "3"}), frozenset({"2"})}
    store.receive([activity(4, 1, "e2", "a1")])
    assert store.partition() == {frozenset({"1"}), frozenset({"2", "3", "4"})}


def test_two_emails_are_never_merged_by_a_common_external_id() -> None:
    groups = resolve_leads([activity(1, 1, "e1", "x1"), activity(2, 2, "e2", "x1"), activity(3, 3, "x1")])
    assert [[item.id for item in group.activities] for group in groups] == [["1", "3"], ["2"]]


@pytest.mark.parametrize(("older", "newer"), [("p1", "x1"), ("x1", "p1"), ("x1", "e1"), ("p1", "e1"), ("e1", "x1")])
def test_of_two_identified_leads_the_older_survives(older: str, newer: str) -> None:
    history = [activity(1, 1, older), activity(2, 2, newer), activity(3, 3, older, newer)]
    survivor, other = (id_for(one.identifiers[0]) for one in history[:2])
    store = Store()
    for item in history:
        store.receive([item])
    assert store.redirects == {other: survivor}
    for arrival in permutations(history):
        store = Store()
        for item in arrival:
            store.receive([item])
        assert store.named() == {survivor: frozenset({"1", "2", "3"})}


def test_a_lead_is_as_old_as_the_visits_from_before_it_was_known() -> None:
    store = Store()
    store.receive([activity(1, 1, "a1"), activity(2, 2, "x1")])
    store.receive([activity(3, 3, "e1", "a1")])
    store.receive([activity(4, 4, "e1", "x1")])
    assert store.named() == {id_for(Identifier(EMAIL, "e1")): frozenset("1234")}


def test_a_visit_that_is_told_late_can_make_the_other_lead_the_older() -> None:
    store = Store()
    store.receive([activity(1, 2, "x1"), activity(2, 3, "e1", "a1"), activity(3, 4, "e1", "x1")])
    assert store.named() == {id_for(Identifier(EXTERNAL, "x1")): frozenset("123")}
    store.receive([activity(4, 1, "a1")])
    assert store.named() == {id_for(Identifier(EMAIL, "e1")): frozenset("1234")}
    assert store.redirects[id_for(Identifier(EXTERNAL, "x1"))] == id_for(Identifier(EMAIL, "e1"))


def test_what_was_joined_by_hand_in_another_lead_makes_no_lead_here() -> None:
    x1, x2 = Identifier(EXTERNAL, "x1"), Identifier(EXTERNAL, "x2")
    refused = [activity(1, 1, "e2", "x1"), activity(2, 2, "e3", "x2")]
    p1, p2 = Identifier(PHONE, "p1"), Identifier(PHONE, "p2")
    groups = resolve_leads(refused, foreign={x1, x2}, joined=[(x1, x2), (p1, p2)])
    assert [[one.id for one in group.activities] for group in groups] == [["1"], ["2"]]
