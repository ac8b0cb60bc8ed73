"""What a valid model probably does not mean."""

from typing import Any

import pytest

from services.scoring.core.doubts import doubts
from services.scoring.core.loader import model_from

RULE = {"id": "r", "activity": "page_viewed", "points": 1}


def paths(**sections: Any) -> list[str]:
    tree = {"model": "m", "engagement": {"rules": [RULE]}} | sections
    return [doubt.where for doubt in doubts(model_from(tree))]


@pytest.mark.parametrize(
    "exclude",
    [
        [{"field": "score.total", "gte": -1_000_000}],
        [{"field": "attributes.country", "exists": False}, {"field": "attributes.country", "exists": True}],
        [{"field": "identity.email_domain", "exists": True}, {"field": "identity.email_domain", "exists": False}],
        [{"field": "score.total", "gt": 5}, {"field": "score.engagement", "lte": 5}],
    ],
)
def test_a_model_that_excludes_everyone_is_doubted(exclude: list[dict[str, Any]]) -> None:
    assert paths(exclude=exclude) == ["exclude"]


@pytest.mark.parametrize(
    "exclude",
    [
        [{"field": "identity.email_domain", "in": ["own.example"]}],
        [{"field": "attributes.country", "not_equals": "JP"}],
        [{"field": "score.total", "lt": 0}],
        [{"did": "order_placed"}],
    ],
)
def test_excluding_some_is_not(exclude: list[dict[str, Any]]) -> None:
    assert paths(exclude=exclude) == []


def test_slips_are_told() -> None:
    assert paths(engagement={"rules": []}) == ["engagement.rules"]
    assert paths(engagement={"rules": [RULE | {"activity": "document_download"}]}) == ["engagement.rules[0].activity"]
    assert paths(engagement={"rules": [RULE | {"points": 0}]}) == ["engagement.rules[0].points"]
    assert paths(engagement={"groups": {"web": {"max": 3}}, "rules": [RULE]}) == ["engagement.groups.web"]
    assert paths(engagement={"rules": [RULE | {"decay": {"half_life": "3d"}}]}) == ["watch"]
    assert paths(watch=[50], engagement={"rules": [RULE | {"decay": {"half_life": "3d"}}]}) == []
