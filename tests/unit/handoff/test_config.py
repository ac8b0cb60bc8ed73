"""handoff.yaml is read whole or refused whole."""

from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from services.handoff.config import read_handoff_file, watched_totals
from services.handoff.core.rules import Rule, RuleFaults, load_rules
from services.handoff.core.values import WorkSpan
from services.handoff.core.watch import unwatched
from shared.errors import ConfigError

MINIMAL = "queues: {desk: {}}\nrules:\n  - {id: hot, enter: 50, to: desk, when: immediately}\n"
FULL = """
queues:
  inside-sales:
    members: [{name: sato, capacity_per_day: 20}]
    calendar: {timezone: Asia/Tokyo, country: JP, hours: "09:00-18:00", days: MON-FRI}
    respond_within: 4h
    decide_within: 3d
rules:
  - {id: hot, enter: 50, leave: 45, cooldown: 30d, close_after: 90d,
     require: {grade: [A, B, C], attributes: [company]}, to: inside-sales, when: immediately}
  - {id: weekly, enter: 50, to: inside-sales,
     when: {every: "FRI 09:00", timezone: Asia/Tokyo, country: JP, holidays: ["2026-12-29"],
            if_holiday: previous_business_day, missed: run_once}}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "handoff.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def one(text: str) -> Rule:
    (rule,) = load_rules(text).rules()
    return rule


def test_the_shipped_file_has_one_rule_without_gates() -> None:
    (rule,) = read_handoff_file(Path("config/handoff.yaml")).rules()
    assert (rule.id, rule.enter, float(rule.leave), rule.to.name) == ("hot", 5_000, 4_500, "inside-sales")


def test_the_full_example_is_understood() -> None:
    hot, weekly = load_rules(FULL).file.rules
    assert (hot.scheduled, weekly.scheduled) == (False, True)
    assert load_rules(FULL).rules()[0].to.respond_within == WorkSpan(timedelta(hours=4))


def test_defaults() -> None:
    rule = one(MINIMAL)
    assert (float(rule.leave), rule.cooldown, rule.close_after) == (4_500, timedelta(days=30), timedelta(days=90))
    assert (rule.to.name, rule.model) == ("desk", None)
    assert one(MINIMAL.replace("50", "33.33")).leave == Fraction("2999.7")


def test_everything_a_rule_and_a_queue_may_say() -> None:
    rich = """
queues:
  desk:
    head: boss
    members:
      - {name: sato, weight: 2, languages: [ja], regions: [関東], absences: [{from: "2026-12-28", to: "2027-01-04"}]}
    owners: {example.co.jp: sato}
    calendar: {timezone: Asia/Tokyo, hours: "09:00-12:00,13:00-24:00"}
rules:
  - {id: hot, enter: 50, to: desk, when: immediately, instant: [demo_requested], increase: {points: 20, within: 7d},
     settle: 0s, recycle: {factor: 0.5}}
  - {id: field, enter: 60, to: desk, when: immediately, require: {handoff: {rule: hot, state: [accepted]}},
     recycle: reset}
"""
    book = load_rules(rich).rulebook(4)
    hot, field = book.rules
    assert hot.instant == frozenset({"demo_requested"})
    assert (hot.settle, hot.recycle) == (timedelta(0), {"factor": 0.5})
    assert hot.increase is not None
    assert (hot.increase.points, hot.increase.within) == (2_000, timedelta(days=7))
    assert (field.recycle, field.settle) == ("reset", timedelta(seconds=15))
    assert book.awaited == frozenset({"hot"})
    assert (book.rule("field"), book.rule("none"), book.queue("none").members) == (field, None, ())
    assert load_rules(rich).digest != load_rules(rich + "\n").digest


def test_rules_alone_name_their_queues() -> None:
    assert one(MINIMAL.replace("queues: {desk: {}}\n", "")).to.name == "desk"
    assert one(MINIMAL.replace("{desk: {}}", "{desk: }")).to.members == ()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("to: desk", "to: nowhere"), "rules[0].to: expected a queue"),
        (("enter: 50", "enter: '50'"), "rules[0].enter: expected a number"),
        (("enter: 50", "enter: 50.001"), "rules[0].enter: expected a number with at most 2 decimals"),
        (("enter: 50", "enter: 50, leave: 60"), "rules[0].leave: expected a number not above enter"),
        (("enter: 50", "enter: -5"), "rules[0].leave: is missing"),
        (("enter: 50", "enter: 50, cooldown: 3 weeks"), "rules[0].cooldown: expected a span"),
        (("enter: 50", "enter: 50, cooldown: 0"), "rules[0].cooldown: expected a span"),
        (
            ("enter: 50", "enter: 50, cooldown: 0d, instant: [demo_requested]"),
            "rules[0].cooldown: expected a span longer",
        ),
        (("enter: 50, ", ""), "rules[0].enter: is missing"),
        (("id: hot, ", ""), "rules[0].id: is missing"),
        ((", when: immediately", ""), "rules[0].when: is missing"),
        (("to: desk, ", ""), "rules[0].to: is missing"),
        (("when: immediately", "when: soon"), "rules[0].when: expected 'immediately'"),
        (
            ("when: immediately", "when: {every: FRIDAY, timezone: UTC}"),
            "rules[0].when.every: expected days and a time",
        ),
        (("when: immediately", 'when: {every: "FRI 09:00"}'), "rules[0].when.timezone: is missing"),
        (
            ("{desk: {}}", "{desk: {calendar: {timezone: Asia/Tokio}}}"),
            "queues.desk.calendar.timezone: expected an IANA",
        ),
        (("{desk: {}}", "{desk: {calendar: {timezone: UTC, hours: 18:00-09:00}}}"), "queues.desk.calendar.hours"),
        (("to: desk", "to: desk, require: {grade: [E]}"), "rules[0].require.grade[0]"),
        (("to: desk", "to: desk, require: {grade: []}"), "rules[0].require.grade: expected at least one entry"),
        (("to: desk", "to: desk, require: {all: []}"), "rules[0].require.all: expected at least one entry"),
        (("to: desk", "to: desk, require: {coverage: 2}"), "rules[0].require.coverage"),
        (("to: desk", "to: desk, require: {consent: [fax]}"), "rules[0].require.consent[0]"),
        (
            ("to: desk", "to: desk, require: {all: [{field: properties.url, exists: true}]}"),
            "rules[0].require.all[0].field: expected a field that a gate may ask about",
        ),
        (
            ("to: desk", "to: desk, require: {any: [{did: quote_requested}]}"),
            "rules[0].require.any[0].did: a gate cannot count activities",
        ),
        (("to: desk", "to: desk, colour: red"), "rules[0].colour: unknown key"),
        (("{desk: {}}", "{desk: {members: [{name: sato, email: sato}]}}"), "members[0].email: expected an e-mail"),
        (("to: desk", "to: desk, instant: demo_requested"), "rules[0].instant: expected a list"),
        (("to: desk", "to: desk, increase: {points: 0, within: 7d}"), "rules[0].increase.points"),
        (("to: desk", "to: desk, increase: {points: 20}"), "rules[0].increase.within: is missing"),
        (("to: desk", "to: desk, cools_within: soon"), "rules[0].cools_within: expected a span"),
        (("to: desk", "to: desk, settle: 15"), "rules[0].settle: expected a span of time such as 15s"),
        (("to: desk", "to: desk, recycle: {factor: 2}"), "rules[0].recycle.factor"),
        (("to: desk", "to: desk, recycle: forget"), "rules[0].recycle: expected 'reset' or 'keep'"),
        (
            ("to: desk", "to: desk, require: {handoff: {rule: hot, state: [accepted]}}"),
            "handoff.rule: expected another rule",
        ),
        (
            ("to: desk", "to: desk, require: {handoff: {rule: other, state: [accepted]}}"),
            "handoff.rule: expected another",
        ),
        (("to: desk", "to: desk, require: {handoff: {rule: hot, state: [won]}}"), "handoff.state[0]: expected one of"),
        (("to: desk", "to: desk, require: {handoff: {rule: hot, state: []}}"), "handoff.state: expected at least one"),
        (
            ("{desk: {}}", "{desk: {members: [{name: a}, {name: a}]}}"),
            "desk.members[1].name: expected each member once",
        ),
        (("{desk: {}}", "{desk: {members: [{name: a, weight: 0}]}}"), "desk.members[0].weight"),
        (("{desk: {}}", "{desk: {members: [{name: a, capacity_per_day: -1}]}}"), "desk.members[0].capacity_per_day"),
        (("{desk: {}}", "{desk: {owners: {example.co.jp: a}}}"), "desk.owners.example.co.jp: expected a member"),
        (
            ("{desk: {}}", "{desk: {members: [{name: a, absences: [{from: '2026-12-29', to: '2026-12-28'}]}]}}"),
            "desk.members[0].absences[0].to: expected a day not before",
        ),
        (
            ("{desk: {}}", "{desk: {members: [{name: a, absences: [{from: '2026-02-30', to: '2026-12-28'}]}]}}"),
            "absences[0].from: expected a date",
        ),
        (
            ("{desk: {}}", "{desk: {calendar: {timezone: UTC, hours: '09:00-12:00,11:00-18:00'}}}"),
            "calendar.hours: expected",
        ),
        (("{desk: {}}", "{desk: {calendar: {timezone: UTC, country: XX}}}"), "calendar.country: expected a country"),
        (
            ("{desk: {}}", "{desk: {calendar: {timezone: UTC, holidays: [2026-13-01]}}}"),
            "calendar.holidays[0]: expected",
        ),
        (("{desk: {}}", "{desk: {respond_within: soon}}"), "desk.respond_within: expected a span"),
        (("rules:", "rules: ["), "broken YAML"),
        (("rules:", "rule:"), "rules: is missing"),
    ],
)
def test_faults_name_their_place(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_handoff_file(write(tmp_path, MINIMAL.replace(*change)))
    assert expected in str(caught.value)
    assert "handoff.yaml:" in str(caught.value)


def test_every_fault_is_told_at_once_in_order_of_lines() -> None:
    more = "  - {id: hot, enter: x, to: desk, when: immediately}\n  - {id: b, enter: 1, to: c, when: immediately}\n"
    with pytest.raises(RuleFaults) as caught:
        load_rules((MINIMAL + more).replace("{desk: {}}", "{desk: {calendar: {timezone: UTC, days: SOMEDAY}}}"))
    places = [(fault.where, line) for fault, line in caught.value.faults]
    assert places == [
        ("queues.desk.calendar.days", 1),
        ("rules[1].id", 4),
        ("rules[1].enter", 4),
        ("rules[2].to", 5),
    ]


@pytest.mark.parametrize("text", ["", "[]", "just text"])
def test_a_file_that_is_no_mapping(text: str) -> None:
    with pytest.raises(RuleFaults, match="expected keys with values"):
        load_rules(text)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="readable file"):
        read_handoff_file(tmp_path / "none.yaml")


def test_thresholds_that_time_may_cross_unseen_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "scoring.yaml").write_text("model: one\nwatch: [50]\n", encoding="utf-8")
    (tmp_path / "models" / "two.yaml").write_text("model: two\nwatch: [30, 27.0]\n", encoding="utf-8")
    (tmp_path / "models" / "broken.yaml").write_text("model: [", encoding="utf-8")
    primary, watched = watched_totals(tmp_path)
    assert primary == "one"
    more = "  - {id: warm, enter: 30, model: two, to: desk, when: immediately, cools_within: 7d}\n"
    warnings = list(unwatched(load_rules(MINIMAL + more).rules(), watched, primary))
    assert warnings == [
        "rule hot: leave 45 does not stand in watch of model one",
        "rule warm: cools_within needs `forecast: true` in model two",
    ]
    (tmp_path / "models" / "two.yaml").write_text("model: two\nwatch: [30, 27]\nforecast: true\n", encoding="utf-8")
    primary, watched = watched_totals(tmp_path)
    assert len(list(unwatched(load_rules(MINIMAL + more).rules(), watched, "one"))) == 1


def test_without_a_readable_model_nothing_is_said(tmp_path: Path) -> None:
    assert watched_totals(tmp_path) == (None, {})
