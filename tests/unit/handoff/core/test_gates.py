"""Gates: what a lead must have beside the score."""

from typing import Any

import pytest

from tests.unit.handoff.builders import rule, state


@pytest.mark.parametrize(
    ("require", "passing", "failing"),
    [
        ("grade: [A, B]", {"grade": "B"}, {"grade": "C"}),
        ("level: [1, '2']", {"level": "1"}, {"level": "3"}),
        ("stage: [evaluation]", {"stage": "evaluation"}, {"stage": None}),
        ("attributes: [company]", {"attributes": {"company": "x"}}, {"attributes": {"company": ""}}),
        ("attributes: [company, name]", {"attributes": {"company": "x", "name": 0}}, {"attributes": {"company": "x"}}),
        ("coverage: 0.5", {"coverage": 0.5}, {"coverage": 0.49}),
        ("coverage: 0", {"coverage": 0.0}, {"coverage": None}),
        ("consent: [email]", {"consent": {"email": True}}, {"consent": {"email": "yes"}}),
        ("consent: [email, phone]", {"consent": {"email": True, "phone": True}}, {"consent": {"email": True}}),
        (
            "all: [{field: score.total, gte: 60}, {field: identity.email_domain, equals: example.co.jp}]",
            {"identifiers": {"email": "a@example.co.jp"}},
            {"identifiers": {"email": None}},
        ),
        ("any: [{field: attributes.size, gt: 10}]", {"attributes": {"size": 11}}, {"attributes": {"size": "11"}}),
        ("none: [{field: grade, equals: D}]", {"grade": "A"}, {"grade": "D"}),
        ("grade: [A], level: ['1']", {"grade": "A", "level": "1"}, {"grade": "A", "level": "2"}),
    ],
)
def test_each_gate(require: str, passing: dict[str, Any], failing: dict[str, Any]) -> None:
    gate = rule(f"require: {{{require}}}").gate
    for more, expected in ((passing, True), (failing, False)):
        published = state(60, **more)
        assert gate(published, published.models["test"]) is expected


def test_no_gate_lets_everybody_through() -> None:
    published = state(60)
    assert rule().gate(published, published.models["test"])
