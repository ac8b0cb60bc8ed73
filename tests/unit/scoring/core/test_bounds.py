"""A lead that is told without end stays one that a record can hold."""

import string
from typing import Any

import orjson
import pytest

from services.scoring.core.evaluation import Evaluation
from services.scoring.core.events import MAX_RECORD_BYTES, Change, score_changed
from services.scoring.core.lead import LiveModel, Models
from services.scoring.core.profile import MAX_ATTRIBUTE_BYTES, MAX_ATTRIBUTES, MAX_EMAILS, MAX_EXTERNAL, Profile
from shared.identity import EMAIL, EXTERNAL, Identifier
from tests.unit.scoring.core.builders import NOON, act, compiled

MODELS = Models((LiveModel("m", 1, compiled()),))


def told(*attributes: dict[str, Any]) -> Profile:
    profile = Profile()
    for number, some in enumerate(attributes):
        profile.add([act(f"a{number}", attributes=some)])
    return profile


def published(profile: Profile) -> tuple[int, dict[str, Any]]:
    evaluation = Evaluation(0, 0, 0, 0, "D", "4", None, None, ())
    value = score_changed(Change("l", 1, "activity", profile, {"m": evaluation}, NOON), MODELS).value
    assert value is not None
    return len(value), orjson.loads(value)


@pytest.mark.parametrize(
    "value", ["x" * (MAX_ATTRIBUTE_BYTES - 1), "山" * 6_000, ["x" * 60_000], {"a": "\x01" * 3_000}]
)
def test_a_value_that_is_too_large_stays_on_its_activity(value: Any) -> None:
    assert told({"a": "known"}, {"a": value, "b": 1}).attributes == {"a": "known", "b": 1}


@pytest.mark.parametrize("value", ["x" * (MAX_ATTRIBUTE_BYTES - 2), "山" * 2_000, ["x" * 16_000], 5, True, 0.5])
def test_a_value_of_usual_size_is_learnt(value: Any) -> None:
    assert told({"a": "known"}, {"a": value}).attributes == {"a": value}


def test_so_many_names_are_learnt_and_known_ones_go_on_changing() -> None:
    profile = told({f"n{number}": number for number in range(MAX_ATTRIBUTES)}, {"n0": "new", "one more": 1})
    assert len(profile.attributes) == MAX_ATTRIBUTES
    assert profile.attributes["n0"] == "new"


def test_a_record_leaves_out_the_largest_attributes_and_says_so() -> None:
    large = {f"k{number}": letter * 15_000 for number, letter in enumerate(string.ascii_letters * 4)}
    size, body = published(told({"company": "サンプル"}, *({name: value} for name, value in large.items())))
    assert size <= MAX_RECORD_BYTES
    assert body["attributes_omitted"] is True
    assert body["attributes"]["company"] == "サンプル"
    assert len(body["attributes"]) > 40
    assert "attributes_omitted" not in published(told({"company": "サンプル"}))[1]


def test_not_every_name_of_a_lead_is_shown() -> None:
    many = [Identifier(EMAIL, f"{number:05}@example.com") for number in range(2 * MAX_EMAILS)]
    many += [Identifier(EXTERNAL, f"s{number:05}:1") for number in range(2 * MAX_EXTERNAL)]
    shown = Profile(identifiers=many).identifiers_out()
    assert (len(shown["emails"]), len(shown["external_ids"])) == (MAX_EMAILS, MAX_EXTERNAL)
    assert shown["email"] == "00000@example.com"
