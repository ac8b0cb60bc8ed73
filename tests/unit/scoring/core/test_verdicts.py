"""A person or a machine: what one hit tells, what those around it tell, and that a late sign takes points back."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.core.engine import fold_all, until
from services.scoring.core.lead import LeadState, LiveModel, Models, advance, refold
from services.scoring.core.verdicts import Judgement, alone, judge
from shared.activity import Activity
from tests.oracle import bots
from tests.properties import few
from tests.unit.scoring.core.builders import NOON, act, compiled

CLICKED = {"rules": [{"id": "r", "activity": "*", "points": 1, "repeat": "every"}]}
MODELS = Models((LiveModel("test", 1, compiled(engagement=CLICKED)),))


def hit(seconds: float, kind: str = "email_clicked", id_: str = "", signals: Any = None, **properties: Any) -> Activity:
    properties = {"email_id": "m1", **properties} if kind.startswith("email") else properties
    one = act(kind, NOON + timedelta(seconds=seconds), id=id_ or f"{kind}-{seconds}", **properties)
    one.signals = signals
    return one


def words(*hits: Activity) -> list[str]:
    """Under each hit, in order, the reason it earns nothing."""
    unpaid = judge(hits).unpaid
    return ["+".join(unpaid[one.source, one.id].reasons) if (one.source, one.id) in unpaid else "" for one in hits]


@pytest.mark.parametrize(
    ("signals", "properties", "word"),
    [
        ({"method": "HEAD"}, {}, "scan"),
        ({"method": "GET", "honeypot": True}, {}, "scan"),
        (None, {"bot_signals": ["machine_open"]}, "scan"),
        ({"method": "GET", "agent": "browser"}, {}, "likely"),
        ({"method": "POST", "agent": "browser"}, {}, "human"),
        ({"method": "GET", "agent": "scanner", "since_sent_s": 0.5, "network": "n"}, {}, "unknown"),
        (None, {"bot_signals": ["agent"], "seconds_since_sent": 1}, "unknown"),
        (None, {}, "unknown"),
    ],
)
def test_a_hit_alone(signals: Any, properties: dict[str, Any], word: str) -> None:
    one = hit(0, signals=signals, link="/a", **properties)
    judged = alone(one)
    assert judged is not None
    assert judged.word == word
    # Weak signs decide nothing, not even all together.
    assert fold_all(compiled(engagement=CLICKED), [one], NOON).score == (0 if word == "scan" else 100)


def test_a_page_that_a_tool_calls_a_machines_earns_nothing() -> None:
    viewed = hit(0, "page_viewed", bot_signals=["bot_activity"])
    assert judge([viewed]).verdict_of(viewed) == "scan"
    networks = [hit(n, "page_viewed", ip_network=f"{n}") for n in range(3)]
    assert [judge(networks).verdict_of(one) for one in networks] == ["suspected"] * 3


def test_forms_bookings_and_attendance_are_not_suppressed() -> None:
    for kind in ("form_submitted", "meeting_booked", "webinar_attended", "email_unsubscribed"):
        assert alone(hit(0, kind, signals={"method": "HEAD", "honeypot": True})) is None
        assert judge([hit(0, kind, signals={"honeypot": True})]).unpaid == {}


def test_three_links_of_one_mail_within_ten_seconds() -> None:
    assert words(hit(0, link="a"), hit(4, link="b"), hit(10, link="c")) == ["links"] * 3
    assert words(hit(0, link="a"), hit(4, link="b"), hit(10.001, link="c")) == [""] * 3
    assert words(hit(0, link="a"), hit(4, link="a"), hit(5, link="b")) == [""] * 3
    assert words(hit(0, link="a"), hit(1, link="b"), hit(2, link="c", email_id="m2")) == [""] * 3
    assert words(hit(0, link="a"), hit(9, link="b"), hit(18, link="c"), hit(19, link="d")) == ["", *["links"] * 3]


def test_three_networks_within_two_minutes() -> None:
    networks = [hit(60 * number, "page_viewed", signals={"network": f"n{number}"}) for number in range(3)]
    assert words(*networks) == ["networks"] * 3
    assert words(*networks[:2], hit(120.1, "page_viewed", signals={"network": "n2"})) == [""] * 3
    mixed = [hit(0, ip_network="1.2.3.0/24"), hit(1, ip_network="1.2.4.0/24"), hit(2, signals={"network": "n"})]
    assert words(*mixed) == [""] * 3


def test_unsubscribing_and_a_content_link_within_a_minute() -> None:
    assert words(hit(0, link="a"), hit(60, "email_unsubscribed")) == ["unsubscribed", ""]
    assert words(hit(0, link="a"), hit(61, "email_unsubscribed")) == ["", ""]
    assert words(hit(0, link="a"), hit(5, link="https://x.example/Unsubscribe?u=1")) == ["unsubscribed"] * 2
    assert words(hit(0, link="a"), hit(5, "email_unsubscribed", email_id=None)) == ["unsubscribed", ""]


def test_a_late_sign_takes_back_what_was_paid() -> None:
    hits = [hit(0, link="a"), hit(1, link="b"), hit(2, link="c")]
    state = refold(MODELS, hits[:1], (), NOON)
    assert advance(MODELS, state, hits[1:2], NOON + timedelta(seconds=1))
    assert state.evaluation(MODELS.primary, NOON + timedelta(seconds=1)).score == 200
    state = LeadState.unpack(state.pack())
    assert not advance(MODELS, state, hits[2:], NOON + timedelta(seconds=2))
    assert state.judgement.taken_back
    later = NOON + timedelta(seconds=2)
    assert refold(MODELS, hits, (), later).evaluation(MODELS.primary, later).score == 0


def test_a_further_hit_of_a_burst_is_judged_without_folding_again() -> None:
    now = NOON + timedelta(seconds=9)
    state = LeadState.unpack(refold(MODELS, [hit(number, link=f"{number}") for number in range(3)], (), now).pack())
    assert advance(MODELS, state, [hit(5, link="9")], now)
    assert state.evaluation(MODELS.primary, now).score == 0


HITS = st.builds(
    hit,
    st.sampled_from([0, 1, 5, 9, 10, 10.5, 30, 59, 60, 61, 100, 120, 121, 180, 240]),
    st.sampled_from(["email_clicked", "email_clicked", "email_opened", "page_viewed", "email_unsubscribed"]),
    st.integers(0, 10**6).map(str),
    st.sampled_from([None, None, {"network": "n1"}, {"network": "n2"}, {"network": "n3"}, {"method": "HEAD"}]),
    link=st.sampled_from(["a", "b", "c", "d", "/unsubscribe", None]),
    email_id=st.sampled_from(["m1", "m1", "m2", None]),
)


@few(150)
@given(st.lists(HITS, max_size=12, unique_by=lambda one: one.id), st.lists(st.integers(0, 12), max_size=3))
def test_in_any_pieces_the_judgement_is_that_of_the_oracle(hits: list[Activity], cuts: list[int]) -> None:
    ordered = until(hits, NOON + timedelta(days=1))
    expected = bots.unpaid([bots.Hit.of(one) for one in ordered])
    assert set(judge(ordered).unpaid) == expected
    pieces, start, unpaid = Judgement(), 0, set()
    for cut in [*sorted(cuts), len(ordered)]:
        pieces.add(ordered[start:cut])
        unpaid |= set(pieces.unpaid)
        start = max(cut, start)
    assert unpaid == expected
