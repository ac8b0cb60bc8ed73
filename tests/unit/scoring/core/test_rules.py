"""Repeat policies, decays, cells, clamps and inactivity, each alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.scoring.core.engine import fold_all
from services.scoring.core.objects import object_key
from tests.unit.scoring.core.builders import DAY, NOON, act, compiled, lines, one_rule, points

HOUR = timedelta(hours=1)


def views(*days: float, **properties: Any) -> list[Any]:
    return [act("page_viewed", NOON + day * DAY, **properties) for day in days]


@pytest.mark.parametrize(
    ("repeat", "paid"),
    [
        ("every", 4),
        ("once", 1),
        ("once_per_object", 1),
        ({"once_per": "1d"}, 3),
        ({"once_per": "2d"}, 2),
        ({"max": 2, "per": "3d"}, 3),
    ],
)
def test_repeat(repeat: Any, paid: int) -> None:
    assert points(one_rule(repeat=repeat), views(0, 0.5, 1, 3), NOON + 4 * DAY) == paid


def test_daily_max_counts_local_days_and_what_is_denied_counts_for_nothing() -> None:
    model = compiled(
        timezone="Asia/Tokyo",
        daily_max=2,
        engagement={"rules": [{"id": "r", "activity": "page_viewed", "points": 1, "repeat": "every"}]},
    )
    evening = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)  # 23:00 in Tokyo
    hits = [act("page_viewed", evening + minutes * timedelta(minutes=20)) for minutes in range(5)]
    assert points(model, hits, NOON + DAY) == 4
    assert points(model, hits[:3], NOON + DAY) == 2


def test_an_activity_denied_by_the_day_leaves_its_object_unpaid() -> None:
    model = compiled(daily_max=1, engagement={"rules": [{"id": "r", "activity": "document_downloaded", "points": 1}]})
    hits = [act("document_downloaded", NOON + hours * HOUR, document=f"d{hours % 24 % 2}") for hours in (0, 1, 25)]
    assert points(model, hits, NOON + 2 * DAY) == 2


def test_window_ends_at_its_age() -> None:
    model = one_rule(decay={"window": "7d"})
    assert points(model, views(0), NOON + 7 * DAY - timedelta(microseconds=1)) == 1
    assert points(model, views(0), NOON + 7 * DAY) == 0


def test_half_life_sums_unrounded_entries_and_rounds_ties_to_even() -> None:
    model = one_rule(points=0.05, repeat="every", decay={"half_life": "30d"})
    assert points(model, views(0), NOON + 30 * DAY) == 0.02  # 0.025
    assert points(model, views(0, 0.5, 1), NOON + 1 * DAY) == 0.15  # each fades by less than half a cent


def test_half_life_entry_below_a_cent_is_nothing() -> None:
    model = one_rule(points=0.04, decay={"half_life": "1d"})
    assert points(model, views(0), NOON + 2 * DAY) == 0.01
    assert points(model, views(0), NOON + 2 * DAY + HOUR) == 0


def test_negative_half_life_fades_towards_zero() -> None:
    model = one_rule(points=-8, decay={"half_life": "10d"})
    assert points(model, views(0), NOON + 20 * DAY) == -2


def test_month_steps_follow_the_local_calendar() -> None:
    model = compiled(
        timezone="Asia/Tokyo",
        engagement={
            "rules": [{"id": "r", "activity": "page_viewed", "points": 10, "decay": {"step": "10%", "every": "1mo"}}]
        },
    )
    start = datetime(2026, 1, 30, 16, 0, tzinfo=UTC)  # 31 January, 01:00 in Tokyo
    hit = [act("page_viewed", start)]
    second = timedelta(seconds=1)
    for boundary, value in [
        (datetime(2026, 2, 27, 16, 0, tzinfo=UTC), 9),  # 28 February
        (datetime(2026, 3, 30, 16, 0, tzinfo=UTC), 8),  # 31 March, counted from January
    ]:
        assert points(model, hit, boundary) == value
        assert points(model, hit, boundary - second) == value + 1


def test_step_of_an_eighth_is_exact_and_rounds_to_even() -> None:
    model = one_rule(points=0.2, decay={"step": "12.5%", "every": "1d"})
    assert [points(model, views(0), NOON + day * DAY) for day in (1, 3, 8)] == [0.18, 0.12, 0.0]  # 0.175, 0.125


def test_cells_pay_the_first_true_one_and_count_everything() -> None:
    model = one_rule(
        cells=[{"at_least": 3, "within": "2d", "points": 10}, {"at_least": 2, "within": "7d", "points": 4}]
    )
    hits = views(0, 1, 1.5)
    got = fold_all(model, hits, NOON + 1.9 * DAY)
    assert [(one.points, one.entries) for one in got.reasons] == [(1000, 3)]
    assert points(model, hits, NOON + 2 * DAY) == 4  # the first view is exactly two days old
    assert points(model, hits, NOON + 8.5 * DAY) == 0


def test_cells_see_only_matching_activities() -> None:
    model = one_rule(
        cells=[{"at_least": 2, "within": "7d", "points": 1}], all=[{"field": "properties.url", "ends_with": "/a"}]
    )
    assert points(model, [*views(0, url="/a"), *views(1, url="/b")], NOON + DAY) == 0
    assert points(model, [*views(0, url="/a"), *views(1, url="/A")], NOON + DAY) == 1


def test_a_rule_clamps_itself_and_room_reopens_as_points_fade() -> None:
    model = one_rule(points=10, repeat="every", decay={"window": "3d"}, max=15)
    assert points(model, views(0, 2), NOON + 2 * DAY) == 15
    assert points(model, views(0, 2), NOON + 3 * DAY) == 10


def test_inactivity_comes_between_groups_and_the_clamp_of_engagement() -> None:
    model = compiled(
        engagement={
            "max": 30,
            "inactivity": {"every": "10d", "points": -5, "floor": 2},
            "groups": {"g": {"max": 40}},
            "rules": [{"id": "r", "activity": "page_viewed", "points": 50, "group": "g"}],
        }
    )
    got = fold_all(model, views(0), NOON + 10 * DAY)
    assert lines(got) == {"r": 50, "cap:g": -10, "cap:engagement": -5, "inactivity": -5}
    assert [one.rule for one in got.reasons] == ["r", "cap:g", "cap:engagement", "inactivity"]
    assert got.score == 3000
    assert fold_all(model, views(0), NOON + 300 * DAY).score == 200


def test_what_only_happens_to_a_lead_is_no_sign_of_life() -> None:
    model = compiled(
        engagement={
            "inactivity": {"every": "10d", "points": 5, "floor": 0},
            "rules": [{"id": "r", "activity": "*", "points": 20, "repeat": "once"}],
        }
    )
    hits = [act("page_viewed"), act("card_exchanged", NOON + 9 * DAY), act("email_delivered", NOON + 9 * DAY)]
    assert points(model, hits, NOON + 10 * DAY) == 15
    assert points(model, [*hits, act("email_opened", NOON + 9 * DAY)], NOON + 10 * DAY) == 20


@pytest.mark.parametrize(
    ("kind", "properties", "key"),
    [
        ("document_downloaded", {"document": "d1"}, "d1"),
        ("document_downloaded", {"document": "d1", "object_key": "k"}, "k"),
        ("document_downloaded", {"document": "d1", "object_key": None}, "d1"),
        ("document_requested", {"document": 7}, "7"),
        ("document_requested", {"document": True}, "true"),
        ("document_requested", {}, ""),
        ("page_viewed", {"url": "https://a.example/x?y#z"}, "https://a.example/x"),
        ("page_viewed", {"url": "/x#y?z"}, "/x"),
        ("form_submitted", {"form": "f"}, "f"),
        ("email_opened", {"email_id": "m", "link": "/l"}, "m"),
        ("email_clicked", {"email_id": "m"}, "m"),
        ("email_clicked", {"email_id": "m", "link": "/l"}, "m\x1f/l"),
        ("seminar_attended", {"event": "e"}, "e"),
        ("call_connected", {"event": "e"}, ""),
    ],
)
def test_object_key(kind: str, properties: dict[str, Any], key: str) -> None:
    assert object_key(kind, properties) == key


def test_one_thing_is_paid_once_across_types() -> None:
    model = one_rule(activity=["document_requested", "document_downloaded"])
    hits = [act("document_requested", document="d"), act("document_downloaded", NOON + DAY, document="d")]
    assert points(model, hits, NOON + DAY) == 1
