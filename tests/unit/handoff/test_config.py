"""handoff.yaml is read whole or refused whole."""

from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from services.handoff.config import read_handoff_file, watched_totals
from services.handoff.core.rules import Rule, RuleFaults, load_rules
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
    assert load_rules(FULL).rules()[0].to.respond_within == timedelta(hours=4)


def test_defaults() -> None:
    rule = one(MINIMAL)
    assert (float(rule.leave), rule.cooldown, rule.close_after) == (4_500, timedelta(days=30), timedelta(days=90))
    assert (rule.to.name, rule.model) == ("desk", None)
    assert one(MINIMAL.replace("50", "33.33")).leave == Fraction("2999.7")


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
    more = "  - {id: warm, enter: 30, model: two, to: desk, when: immediately}\n"
    warnings = list(unwatched(load_rules(MINIMAL + more).rules(), watched, primary))
    assert warnings == ["rule hot: leave 45 does not stand in watch of model one"]


def test_without_a_readable_model_nothing_is_said(tmp_path: Path) -> None:
    assert watched_totals(tmp_path) == (None, {})
