"""The expectation understands the shipped model and refuses everything it cannot compute."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from deploy.demo.expectation import MODEL
from deploy.demo.plain_model import NotUnderstood, cents, read_model

Change = Callable[[dict[str, Any]], object]


def _changed(tmp_path: Path, change: Change) -> Path:
    yaml = YAML(typ="safe", pure=True)
    tree = yaml.load(MODEL.read_text(encoding="utf-8"))
    change(tree)
    path = tmp_path / "scoring.yaml"
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(tree, file)
    return path


def test_the_shipped_model_says_what_the_practice_says() -> None:
    model = read_model(MODEL)
    paid = {kind: rule for rule in model.rules for kind in rule.types}
    assert (paid["document_downloaded"].cents, paid["document_downloaded"].repeat) == (500, "once_per_object")
    assert (paid["seminar_attended"].cents, paid["seminar_attended"].repeat) == (1_000, "every")
    assert paid["webinar_attended"] is paid["seminar_attended"]
    assert {rule.cents for rule in model.rules if rule.cents < 0} == {-1_500, -500}


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: tree.update(exclude=[{"field": "identity.email_domain", "in": ["example.com"]}]),
        lambda tree: tree["engagement"].update(max=100),
        lambda tree: tree["engagement"].update(inactivity={"every": "30d", "points": -5}),
        lambda tree: tree["engagement"]["groups"]["web"].update(min=1),
        lambda tree: tree["engagement"]["rules"][0].update(decay={"half_life": "60d"}),
        lambda tree: tree["engagement"]["rules"][0].update(activity="*"),
        lambda tree: tree["engagement"]["rules"][0].update(repeat="sometimes"),
        lambda tree: tree["engagement"]["rules"][0].update(repeat={"once_per": "12h"}),
        lambda tree: tree["engagement"]["rules"][0].update(points=0.005),
        lambda tree: tree["engagement"]["rules"][0].update(all=[{"field": "attributes.name", "equals": "x"}]),
        lambda tree: tree["engagement"]["rules"][0].update(none=[{"field": "properties.a", "equals": "x"}]),
        lambda tree: tree["fit"].update(max=20),
        lambda tree: tree["fit"]["rules"][0].update(none=[{"field": "attributes.name", "equals": "x"}]),
        lambda tree: tree["stages"][0].update(none=[{"did": "page_viewed"}]),
    ],
)
def test_what_it_cannot_compute_is_refused(tmp_path: Path, change: Change) -> None:
    with pytest.raises(NotUnderstood):
        read_model(_changed(tmp_path, change))


def test_points_are_exact() -> None:
    assert [cents(points) for points in (0.5, 3, -15, 0.07)] == [50, 300, -1_500, 7]
