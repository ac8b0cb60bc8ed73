"""The checker of people who fade says what the engine says, and sees each thing that may be wrong."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.chaos.fading import Fading
from deploy.chaos.fading_check import Published, engagement, lead_differs
from deploy.chaos.fading_model import AFTER, BEFORE, MODEL, Numbers, model_of
from services.scoring.core.compile import compile_model
from services.scoring.core.engine import fold_all
from services.scoring.core.loader import model_from
from tests.properties import few
from tests.unit.scoring.core.builders import act

START = datetime(2026, 11, 26, tzinfo=UTC)
KINDS = st.sampled_from(["page_viewed", "document_downloaded"])
FADING = Fading("", "", "", 1, published={1: BEFORE, 2: AFTER})


def second(number: float) -> datetime:
    return START + timedelta(seconds=number)


@few(100)
@given(
    st.lists(st.tuples(KINDS, st.integers(0, 200)), max_size=8), st.integers(200, 900), st.sampled_from([BEFORE, AFTER])
)
def test_it_is_what_the_engine_says(done: list[tuple[str, int]], at: int, numbers: Numbers) -> None:
    acts = [act(kind, second(when), id=str(place)) for place, (kind, when) in enumerate(done)]
    shown = [{"type": one.type, "occurred_at": one.occurred_at.isoformat()} for one in acts]
    expected = fold_all(compile_model(model_from(model_of(numbers))), acts, second(at)).engagement
    assert engagement({"recent_activities": shown}, numbers, second(at)) == expected


def state(at: float, points: float, cause: str = "activity", **more: Any) -> Published:
    """Of somebody who looked at a page at second 0."""
    shown = {
        "version": 1,
        "engagement": points,
        "score": points,
        "manual": 0,
        "grade": "D",
        "level": "4",
        "stage": None,
    }
    body = {
        "identifiers": {"email": "p0@fading.example", "emails": ["p0@fading.example"]},
        "cause": cause,
        "evaluated_at": second(at).isoformat(),
        "version": 1,
        "recent_activities": [{"type": "page_viewed", "occurred_at": START.isoformat()}],
        "models": {MODEL: shown | more},
    }
    return Published(second(at).timestamp(), body)


SEEN = [state(0, 4), state(90, 0, "time")]


def said(states: list[Published], end: float = 400) -> str:
    return "\n".join(lead_differs(states, FADING, second(end).timestamp()))


def test_what_is_right_is_passed_over() -> None:
    assert said(SEEN) == ""


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ([state(0, 5), SEEN[1]], "engagement 5"),
        (SEEN[:1], "stood at 0"),
        ([SEEN[0], state(10, 4, "time"), SEEN[1]], "though nothing mattered"),
        ([state(0, 4, manual=3), SEEN[1]], "3 points by hand"),
    ],
)
def test_what_is_wrong_is_said(states: list[Published], words: str) -> None:
    assert words in said(states)
