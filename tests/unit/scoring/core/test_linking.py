"""Leads are the same sets of activities, whatever the order in which these arrive."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from services.scoring.core.linking import Owner, Standing, place, resolve_cluster
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

    def receive(self, batch: list[Activity]) -> None:
        known = {i: self.owners[i] for item in batch for i in item.identifiers if i in self.owners}
        with_email = {owner.lead_id for i, owner in self.owners.items() if i.kind == EMAIL}
        placement = place(batch, known, with_email, id_for)
        self.owners.update(placement.owners)
        for item in batch:
            self.leads[placement.lead_of[item.source, item.id]].append(item)
        for cluster in placement.clusters:
            self._resolve(cluster)

    def _resolve(self, cluster: set[str]) -> None:
        held = [
            Standing(
                lead_id,
                [i for i, owner in self.owners.items() if owner.lead_id == lead_id],
                min(item.order for item in self.leads[lead_id]),
            )
            for lead_id in sorted(cluster)
            if self.leads.get(lead_id)
        ]
        items = [item for lead_id in cluster for item in self.leads.pop(lead_id, [])]
        foreign = {i for item in items for i in item.identifiers if self.owners[i].lead_id not in cluster}
        resolved = resolve_cluster(held, items, foreign, id_for)
        self.owners.update(resolved.owners)
        self.leads.update({name: list(group.activities) for name, group in resolved.groups.items()})
        self.redirects.update(resolved.merged)

    def partition(self) -> set[frozenset[str]]:
        return {frozenset(item.id for item in items) for items in self.leads.values() if items}


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
def test_arrival_order_and_batches_do_not_change_the_leads(history: list[Activity], random: object, size: int) -> None:
    expected = {frozenset(item.id for item in group.activities) for group in resolve_leads(history) if group.activities}
    arrival = list(history)
    random.shuffle(arrival)  # type: ignore[attr-defined]
    store = Store()
    for start in range(0, len(arrival), size):
        store.receive(arrival[start : start + size])
    assert store.partition() == expected


@few(100)
@given(histories, st.randoms(use_true_random=False))
def test_a_lead_with_an_email_always_has_the_id_of_that_email(history: list[Activity], random: object) -> None:
    random.shuffle(history)  # type: ignore[attr-defined]
    store = Store()
    for item in history:
        store.receive([item])
    for item in history:
        if item.identifiers[0].kind == EMAIL:
            assert item in store.leads[id_for(item.identifiers[0])]


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


def test_the_older_lead_survives_where_neither_has_an_email() -> None:
    store = Store()
    store.receive([activity(1, 2, "x1"), activity(2, 1, "p1")])
    store.receive([activity(3, 3, "x1", "p1")])
    assert store.redirects == {id_for(Identifier(EXTERNAL, "x1")): id_for(Identifier(PHONE, "p1"))}


def test_the_lead_with_an_email_survives_an_older_one_that_another_id_names() -> None:
    history = [activity(1, 1, "x1"), activity(2, 2, "e1"), activity(3, 3, "e1", "x1")]
    email = id_for(Identifier(EMAIL, "e1"))
    for arrival in permutations(history):
        store = Store()
        for item in arrival:
            store.receive([item])
        assert store.partition() == {frozenset({"1", "2", "3"})}
        assert {lead_id for lead_id, items in store.leads.items() if items} == {email}


def test_what_was_joined_by_hand_in_another_lead_makes_no_lead_here() -> None:
    x1, x2 = Identifier(EXTERNAL, "x1"), Identifier(EXTERNAL, "x2")
    refused = [activity(1, 1, "e2", "x1"), activity(2, 2, "e3", "x2")]
    p1, p2 = Identifier(PHONE, "p1"), Identifier(PHONE, "p2")
    groups = resolve_leads(refused, foreign={x1, x2}, joined=[(x1, x2), (p1, p2)])
    assert [[one.id for one in group.activities] for group in groups] == [["1"], ["2"]]
