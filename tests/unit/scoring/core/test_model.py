"""Model files: what is read how, and what is refused where."""

import time
from datetime import timedelta
from typing import Any

import orjson
import pytest

from services.scoring.core.compile import compile_model
from services.scoring.core.engine import fold_all
from services.scoring.core.evaluate import evaluate
from services.scoring.core.fold import fold, new_state
from services.scoring.core.loader import load_model, model_from
from services.scoring.core.model import ModelFaults
from services.scoring.core.rules import PointsRule
from tests.unit.scoring.core.builders import NOON, act

RULE = {"id": "r", "activity": "page_viewed", "points": 1}


def faults(tree: Any) -> dict[str, str]:
    with pytest.raises(ModelFaults) as caught:
        model_from(tree)
    return {fault.where: fault.expected for fault in caught.value.faults}


def with_rule(**changes: Any) -> dict[str, Any]:
    return {"model": "m", "engagement": {"rules": [RULE | changes]}}


def test_a_model_of_only_a_name_has_the_defaults() -> None:
    model = load_model("model: m")
    assert (model.timezone.key, model.daily_max, model.engagement.rules) == ("UTC", 20, [])
    assert model.grade == {"A": 7500, "B": 5000, "C": 2500, "D": 0}
    assert model.level == {"1": 7500, "2": 5000, "3": 2500, "4": 0}


def test_points_become_exact_cents() -> None:
    for written, cents in (("0.29", 29), ("-15", -1500), ("2.50", 250), ("1e2", 10_000)):
        rule = load_model(f"{{model: m, engagement: {{rules: [{{id: r, activity: x, points: {written}}}]}}}}")
        assert isinstance(rule.engagement.rules[0], PointsRule)
        assert rule.engagement.rules[0].points == cents


def test_json_is_read_as_well_with_tabs() -> None:
    assert load_model('{\n\t"model": "m",\n\t"level": {"1": 80}\n}').level["1"] == 8000


def test_keys_are_text_and_nothing_is_yaml_1_1() -> None:
    text = 'model: m\nlevel: {"1": 80, 2: 40}\nstages: [{id: no, name: {no: nei, on: 2026-01-01}}]\n'
    model = load_model(text)
    assert (model.level["1"], model.level["2"]) == (8000, 4000)
    assert (model.stages[0].id, model.stages[0].name) == ("no", {"no": "nei", "on": "2026-01-01"})


def test_a_key_given_twice_is_a_fault_with_its_line() -> None:
    with pytest.raises(ModelFaults, match=r"f\.yaml:3: level\.1: is given twice"):
        load_model('model: m\nlevel:\n  {1: 80, "1": 70}\n', "f.yaml")


def test_every_fault_is_named_with_path_and_line() -> None:
    text = """model: m
timezone: Asia/Tokio
engagement:
  min: 1
  rules:
    - {id: a, activity: x, points: 1.234, group: nope}
    - {id: a, activity: x, points: 1, all: [], decay: {half_life: -3d}}
fit:
  rules: [{id: b, points: 1, any: [{field: properties.x, exists: true}]}]
wach: [1]
"""
    with pytest.raises(ModelFaults) as caught:
        load_model(text, "f.yaml")
    found = {(line, fault.where) for fault, line in zip(caught.value.faults, caught.value.lines, strict=True)}
    assert found == {
        (2, "timezone"),
        (4, "engagement.min"),
        (6, "engagement.rules[0].points"),
        (6, "engagement.rules[0].group"),
        (7, "engagement.rules[1].id"),
        (7, "engagement.rules[1].all"),
        (7, "engagement.rules[1].decay.half_life"),
        (9, "fit.rules[0].any[0].field"),
        (10, "wach"),
    }


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"points": True}, "points"),
        ({"points": "1"}, "points"),
        ({"points": 0.001}, "points"),
        ({"points": float("inf")}, "points"),
        ({"activity": []}, "activity"),
        ({"activity": "PageViewed"}, "activity"),
        ({"repeat": "sometimes"}, "repeat"),
        ({"repeat": {"max": 3}}, "repeat.per"),
        ({"repeat": {"once_per": "1mo"}}, "repeat.once_per"),
        ({"repeat": {"max": 0, "per": "1d"}}, "repeat.max"),
        ({"decay": {"window": "0d"}}, "decay.window"),
        ({"decay": {"window": "1mo"}}, "decay.window"),
        ({"decay": {"window": "1d", "half_life": "1d"}}, "decay.window"),
        ({"decay": {"step": "101%", "every": "1mo"}}, "decay.step"),
        ({"decay": {"step": 0.25, "every": "1mo"}}, "decay.step"),
        ({"decay": {"step": "25%", "every": "1y"}}, "decay.every"),
        ({"min": 1}, "min"),
        ({"max": -1}, "max"),
        ({"any": []}, "any"),
        ({"none": None}, ""),
        ({"all": [{"field": "properties.x"}]}, "all[0]"),
        ({"all": [{"field": "properties.x", "gt": 1, "lt": 2}]}, "all[0]"),
        ({"all": [{"field": "properties.x", "matches": "("}]}, "all[0].matches"),
        ({"all": [{"field": "score.total", "gt": 1}]}, "all[0].field"),
        ({"all": [{"field": "properties", "gt": 1}]}, "all[0].field"),
        ({"all": [{"did": "page_viewed"}]}, "all[0].did"),
        ({"group": "nope"}, "group"),
        ({"id": "manual"}, "id"),
        ({"cells": [{"at_least": 1, "within": "1d", "points": 1}]}, "points"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_a_faulty_rule_is_refused(changes: dict[str, Any], path: str) -> None:
    assert set(faults(with_rule(**changes))) == {f"engagement.rules[0]{'.' if path else ''}{path}".rstrip(".")}


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ({"model": "a b"}, "model"),
        ({"daily_max": 0}, "daily_max"),
        ({"watch": ["x"]}, "watch[0]"),
        ({"grade": {"E": 1}}, "grade.E"),
        ({"grade": {"A": 10}}, "grade"),
        ({"engagement": {"inactivity": {"every": "1mo", "points": 1}}}, "engagement.inactivity.every"),
        ({"engagement": {"groups": {"fit": {"max": 1}}}}, "engagement.groups.fit"),
        ({"stages": [{"id": "a"}, {"id": "a"}]}, "stages[1].id"),
        ({"stages": [{"id": "a", "all": [{"field": "properties.x", "gt": 1}]}]}, "stages[0].all[0].field"),
        ({"exclude": [{"field": "source", "equals": "x"}]}, "exclude[0].field"),
        ({"signals": [{"id": "a"}]}, "signals[0].activity"),
    ],
)
def test_a_faulty_section_is_refused(section: dict[str, Any], path: str) -> None:
    assert set(faults({"model": "m"} | section)) == {path}


def test_what_is_no_mapping_is_no_model() -> None:
    assert list(faults(["model"])) == [""]
    with pytest.raises(ModelFaults, match="broken YAML"):
        load_model("model: [")


def test_the_same_id_in_engagement_and_fit_is_taken() -> None:
    assert set(faults(with_rule() | {"fit": {"rules": [{"id": "r", "points": 1}]}})) == {"fit.rules[0].id"}


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)*b", "(.*a){20}", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_a_pattern_that_blows_up_elsewhere_is_linear_here(pattern: str) -> None:
    model = compile_model(model_from(with_rule(all=[{"field": "properties.x", "matches": pattern}])))
    assert fold_all(model, [act("page_viewed", x="a" * 100_000 + "!")], NOON).score is not None


def test_a_pattern_beyond_memory_is_refused() -> None:
    (text,) = faults(with_rule(all=[{"field": "properties.x", "matches": "((a{1000}){1000}){1000}"}])).values()
    assert text.startswith("expected a pattern in RE2 syntax")


@pytest.mark.parametrize("written", ["1e308", "1e400", "-1e30", "9" * 400, "1000000.01", ".nan"])
def test_points_beyond_what_can_be_summed_are_refused(written: str) -> None:
    with pytest.raises(ModelFaults, match=r"points: expected a number"):
        load_model(f"{{model: m, engagement: {{rules: [{{id: r, activity: x, points: {written}}}]}}}}")


def test_the_largest_sums_stay_exact() -> None:
    rule = RULE | {"points": 1_000_000, "repeat": "every", "decay": {"step": "0.01%", "every": "1d"}}
    model = compile_model(model_from({"model": "m", "daily_max": 1_000_000, "engagement": {"rules": [rule]}}))
    seen = [act("page_viewed", id=str(number)) for number in range(3_000)]
    assert fold_all(model, seen, NOON).to_json()["score"] == 3_000_000_000.0


def many_rules(count: int) -> str:
    """Twenty of a thousand ask about every type of activity."""
    rules = [
        {
            "id": f"rule-{number}", "activity": f"type_{number % 50}", "points": 1, "repeat": "every",
            "all": [{"field": "properties.url", "contains": f"/{number}"}], "decay": {"half_life": "30d"},
        }
        for number in range(count)
    ]  # fmt: skip
    return orjson.dumps({"model": "m", "engagement": {"rules": rules}}, option=orjson.OPT_INDENT_2).decode()


def test_a_thousand_rules_are_accepted() -> None:
    model = compile_model(load_model(many_rules(1_000)))
    assert fold_all(model, [act("type_7", url="/507")], NOON).score == 100


@pytest.mark.long
@pytest.mark.parametrize("count", [10, 1_000])
def test_what_a_thousand_rules_cost_is_printed(count: int) -> None:
    started = time.process_time()
    model = compile_model(load_model(many_rules(count)))
    loaded = time.process_time() - started
    seen = [act(f"type_{n % 10}", id=str(n), at=NOON - timedelta(minutes=2_000 - n), url=f"/{n}") for n in range(2_000)]
    state = new_state(model)
    started = time.process_time()
    for one in seen:
        fold(model, state, [one])
        found = evaluate(model, state, one.occurred_at)
    took = (time.process_time() - started) / len(seen)
    print(f"{count:,} rules: loaded in {loaded:.2f} s, {took * 1e6:.0f} µs to fold and evaluate an activity")
    assert found == fold_all(model, seen, seen[-1].occurred_at)
