"""Random models and leads on a small grid of instants, so that boundaries and ties are met often."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from services.scoring.core.entries import RECYCLED, points_entry
from services.scoring.core.entries import Entry as StoredEntry
from services.scoring.core.evaluation import ManualPoints
from shared.activity import Activity
from shared.identity import ANONYMOUS, EMAIL, EXTERNAL, PHONE, Identifier
from tests.oracle.fading import points_of
from tests.oracle.scoring import SHARED_MAILBOXES, Act, Entry, Points, Returned

START = datetime(2026, 1, 30, 21, 30, tzinfo=UTC)
TYPES = ["page_viewed", "document_downloaded", "email_clicked", "email_delivered", "webinar_attended"]
HITS = ["email_clicked", "email_clicked", "page_viewed", "email_opened", "email_unsubscribed"]
POLICIES = ["keep", "reset", {"factor": 0.5}, {"factor": 0.9}]
ZONES = ["UTC", "Asia/Tokyo", "America/New_York", "America/St_Johns", "Australia/Lord_Howe"]
SPANS = ["6h", "1d", "2d", "7d", "30d"]


def instants() -> st.SearchStrategy[datetime]:
    """Steps of three hours over two months with a change of clocks inside; sometimes a microsecond beside."""
    beside = st.sampled_from([0, 0, 0, 1, -1])
    return st.builds(
        lambda steps, micros: START + timedelta(hours=3 * steps, microseconds=micros), st.integers(0, 480), beside
    )


def amounts(low: int = -2000, high: int = 2000) -> st.SearchStrategy[float]:
    """Points with at most two decimals."""
    return st.one_of(
        st.sampled_from([value for value in (1, 5, 10, 0.05, 0.25, -5, 20) if low <= value * 100 <= high]),
        st.integers(low, high).map(lambda cents: cents / 100),
    )


def conditions() -> st.SearchStrategy[dict[str, Any]]:
    """Conditions of engagement rules."""
    return st.sampled_from(
        [
            {"field": "properties.url", "contains": "/PRICING"},
            {"field": "properties.url", "matches": "pri(c|s)ing$"},
            {"field": "properties.n", "gte": 2},
            {"field": "properties.n", "not_equals": 1},
            {"field": "properties.flag", "equals": True},
            {"field": "properties.tags", "in": ["a", 2]},
            {"field": "properties.url", "exists": False},
            {"field": "source", "starts_with": "ＷＥ"},
            {"field": "attributes.title", "in": ["部長", "manager"]},
            {"field": "identity.email_domain", "equals": "example.co.jp"},
        ]
    )


def blocks() -> st.SearchStrategy[dict[str, Any]]:
    """Mostly none, else one or two of all, any, none."""
    some = st.lists(conditions(), min_size=1, max_size=2)
    return st.one_of(
        st.just({}), st.just({}), st.dictionaries(st.sampled_from(["all", "any", "none"]), some, min_size=1, max_size=2)
    )


def clamps() -> st.SearchStrategy[dict[str, Any]]:
    """No bound, one, or both."""
    return st.fixed_dictionaries({}, optional={"min": amounts(-2000, 0), "max": amounts(0, 4000)})


def repeats() -> st.SearchStrategy[Any]:
    """Every policy."""
    words = st.sampled_from(["every", "every", "once", "once_per_object"])
    once_per = st.builds(lambda per: {"once_per": per}, st.sampled_from(SPANS))
    at_most = st.builds(lambda n, per: {"max": n, "per": per}, st.integers(1, 3), st.sampled_from(SPANS))
    return st.one_of(words, once_per, at_most)


def decays() -> st.SearchStrategy[Any]:
    """Every kind of decay, or none."""
    steps = st.builds(
        lambda step, every, curve: {"step": step, "every": every, "curve": curve},
        st.sampled_from(["25%", "12.5%", "33%", "100%", "50%"]),
        st.sampled_from(["1mo", "2mo", "7d", "6h"]),
        st.sampled_from(["linear", "compound"]),
    )
    simple = st.sampled_from(SPANS)
    return st.one_of(st.none(), simple.map(lambda s: {"window": s}), simple.map(lambda s: {"half_life": s}), steps)


@st.composite
def rules(draw: st.DrawFn, index: int) -> dict[str, Any]:
    """One engagement rule."""
    activity = draw(st.one_of(st.sampled_from(TYPES), st.just("*"), st.lists(st.sampled_from(TYPES), min_size=1)))
    rule: dict[str, Any] = {"id": f"r{index}", "activity": activity, **draw(blocks()), **draw(clamps())}
    if draw(st.integers(0, 4)) == 0:
        cell = st.fixed_dictionaries(
            {"at_least": st.integers(1, 4), "within": st.sampled_from(SPANS), "points": amounts()}
        )
        rule["cells"] = draw(st.lists(cell, min_size=1, max_size=2))
    else:
        rule |= {"points": draw(amounts()), "repeat": draw(repeats())}
        if decay := draw(decays()):
            rule["decay"] = decay
    if group := draw(st.sampled_from([None, None, "content", "other"])):
        rule["group"] = group
    return rule


STAGES = [
    {"id": "first"},
    {"id": "second", "any": [{"did": "page_viewed", "at_least": 2, "within": "7d"}, {"did": "webinar_attended"}]},
    {"id": "third", "all": [{"field": "score.engagement", "gte": 5}, {"field": "stage", "equals": "second"}]},
    {"id": "fourth", "any": [{"field": "level", "in": ["1", "2"]}, {"field": "score.total", "lt": -3}]},
]
FIT = [
    {"id": "f0", "points": 10, "any": [{"field": "attributes.title", "matches": "（|部長|MANAGER"}]},
    {"id": "f1", "points": 7.5, "all": [{"field": "attributes.size", "gte": 100}], "max": 6},
    {"id": "f2", "points": -3, "none": [{"field": "attributes.company.name", "exists": True}]},
]
EXCLUDE = [{"field": "identity.email_domain", "in": ["own.example"]}, {"field": "score.total", "gt": 80}]


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    """A whole model as plain data."""
    engagement: dict[str, Any] = {
        **draw(clamps()),
        "groups": {"content": draw(clamps()), "other": {"max": 10}},
        "rules": [draw(rules(index)) for index in range(draw(st.integers(1, 4)))],
    }
    if draw(st.booleans()):
        engagement["inactivity"] = {
            "every": draw(st.sampled_from(SPANS)),
            "points": draw(amounts()),
            "floor": draw(amounts()),
        }
    return {
        "model": "random",
        "timezone": draw(st.sampled_from(ZONES)),
        "daily_max": draw(st.sampled_from([1, 2, 20])),
        "engagement": engagement,
        "fit": {**draw(clamps()), "rules": FIT},
        "level": {"1": 20, "2": 10, "3": 5, "4": 0},
        "stages": draw(st.sampled_from([[], STAGES])),
        "exclude": draw(st.sampled_from([[], [], EXCLUDE])),
        "consent": draw(st.sampled_from([{}, {}, {}, {"profiling": "required"}])),
        "recycle": draw(st.sampled_from(POLICIES)),
    }


@st.composite
def acts(draw: st.DrawFn, index: int) -> Act:
    """One activity; its id does not follow its time."""
    properties = st.fixed_dictionaries(
        {},
        optional={
            "url": st.sampled_from(["https://x.example/pricing", "https://x.example/Pricing?a=1", "/blog#top"]),
            "document": st.sampled_from(["d1", "d2", 1, None]),
            "n": st.sampled_from([1, 2, 2.5, "2", True, None]),
            "flag": st.sampled_from([True, 1, "true"]),
            "tags": st.sampled_from([["A", "b"], [2], [], "a"]),
            "event": st.sampled_from(["e1", "e2"]),
            "object_key": st.sampled_from(["o1", None]),
        },
    )
    attributes = st.fixed_dictionaries(
        {},
        optional={
            "title": st.sampled_from(["部長", "Manager", "", None, "社員（仮）"]),
            "size": st.sampled_from([99, 100, "100", None, 0]),
            "company": st.sampled_from([{"name": "Sample"}, {}]),
        },
    )
    return Act(
        id=f"{draw(st.integers(0, 9))}-{index}",
        source=draw(st.sampled_from(["web", "mail"])),
        type=draw(st.sampled_from(TYPES)),
        at=draw(instants()),
        properties=draw(properties),
        attributes=draw(st.one_of(st.just({}), attributes)),
        email=draw(st.sampled_from([None, None, "a@example.co.jp", "info@shared.example", "b@own.example"])),
        verdict=draw(st.sampled_from([None] * 8 + ["human", "scan", "suspected"])),
        consent=draw(consents()),
    )


def consents() -> st.SearchStrategy[dict[str, Any] | None]:
    """Mostly no word; else yes or no to profiling, sometimes about another instant, or about something else."""
    words = st.fixed_dictionaries(
        {"profiling": st.sampled_from([True, True, False])}, optional={"at": instants().map(datetime.isoformat)}
    )
    return st.one_of(st.none(), words, words, st.just({"email": True}))


@st.composite
def bursts(draw: st.DrawFn, index: int) -> list[Act]:
    """A few hits within minutes: some by a person, some by a machine."""
    start = draw(instants())
    seconds = st.sampled_from([0, 1, 5, 9, 10, 10.000001, 11, 30, 60, 60.000001, 61, 119, 120, 121])
    said = {"email_id": st.sampled_from(["m1", "m1", "m2"])}
    network, tool = st.sampled_from(["1", "2", "3"]), st.sampled_from([["machine_click"], ["agent"], []])
    link = {"link": st.sampled_from(["a", "b", "c", "/unsubscribe"])}
    # What a tool reports has its words among the properties; what we saw ourselves has signals. Never both.
    reported = st.fixed_dictionaries(link, optional=said | {"ip_network": network, "bot_signals": tool})
    seen = st.fixed_dictionaries({"network": network}, optional={"method": st.sampled_from(["GET", "HEAD"])})
    kinds = st.one_of(st.tuples(reported, st.none()), st.tuples(st.fixed_dictionaries(link, optional=said), seen))
    hits = [draw(kinds) for _ in range(draw(st.integers(2, 4)))]
    return [
        Act(
            id=f"{draw(st.integers(0, 9))}-{index}-{place}",
            source=draw(st.sampled_from(["web", "mail"])),
            type=draw(st.sampled_from(HITS)),
            at=start + timedelta(seconds=draw(seconds)),
            properties=properties,
            signals=signals,
            consent=draw(st.sampled_from([None, None, {"profiling": True}])),
        )
        for place, (properties, signals) in enumerate(hits)
    ]


@st.composite
def leads(draw: st.DrawFn, most: int = 14) -> list[Act]:
    """The activities of one lead, ids distinct."""
    found = [draw(acts(index)) for index in range(draw(st.integers(0, most)))]
    return found + draw(bursts(most)) if draw(st.integers(0, 3)) == 0 else found


def entries() -> st.SearchStrategy[list[Entry]]:
    """Points by hand, some that expire, and returns by sales."""
    points = st.builds(Points, amounts(), instants(), st.one_of(st.none(), instants()))
    returned = st.builds(Returned, instants(), st.sampled_from([None, *POLICIES]))
    return st.lists(st.one_of(points, returned), max_size=3)


def to_entries(given: Iterable[Entry], anchor: str = "") -> list[StoredEntry]:
    """The same entries as the engine takes them."""
    found = []
    for number, one in enumerate(given):
        if isinstance(one, Points):
            manual = ManualPoints(int(points_of(one.points) * 100), one.at, "sato", "met", one.until)
            found.append(points_entry(str(number), anchor, one.at, manual))
        else:
            found.append(StoredEntry(RECYCLED, str(number), anchor, one.at, {"policy": one.policy}))
    return found


def identifier(name: str) -> Identifier:
    """What a name of `tests.oracle.people` stands for."""
    return Identifier({"e": EMAIL, "x": EXTERNAL, "p": PHONE, "a": ANONYMOUS}[name[0]], name)


def to_activity(act: Act) -> Activity:
    """The same activity as the engine takes it."""
    own = act.email is not None and act.email.partition("@")[0] not in SHARED_MAILBOXES
    name = Identifier(EMAIL, act.email) if own and act.email else Identifier(EXTERNAL, "crm:1")
    return Activity(
        id=act.id,
        source=act.source,
        type=act.type,
        occurred_at=act.at,
        received_at=None,
        identifiers=tuple(map(identifier, act.names)) or (name,),
        email=act.email,
        attributes=act.attributes,
        properties=act.properties,
        consent=act.consent,
        flags=(act.verdict,) if act.verdict else (),
        signals=act.signals,
    )
