"""Consent to profiling: where a model asks for it, an activity counts only from the word that grants it on."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.core.consent import history_of, in_force
from services.scoring.core.engine import fold_all
from services.scoring.core.lead import LeadState, LiveModel, Models, advance, refold
from services.scoring.core.model import ModelFaults
from shared.activity import Activity
from shared.clock import to_rfc3339
from tests.properties import few
from tests.unit.scoring.core.builders import DAY, NOON, act, compiled

VIEWS = {"rules": [{"id": "r", "activity": "*", "points": 1, "repeat": "every"}]}
ASKING = compiled(engagement=VIEWS, consent={"profiling": "required"})
MODELS = Models((LiveModel("test", 1, ASKING),))


def view(day: float, word: bool | None = None, at: float | None = None, id_: str = "") -> Activity:
    one = act("page_viewed", NOON + day * DAY, id=id_ or f"v{day}")
    if word is not None:
        one.consent = {"profiling": word} | ({} if at is None else {"at": to_rfc3339(NOON + at * DAY)})
    return one


def points(*activities: Activity, days: float = 9) -> float:
    score = fold_all(ASKING, activities, NOON + days * DAY).score
    assert score is not None
    return score / 100


def test_without_a_word_nothing_counts_and_with_it_what_comes_later_does() -> None:
    assert points(view(0)) == 0
    assert points(view(0), view(1, True), view(2)) == 2
    assert fold_all(compiled(engagement=VIEWS), [view(0), view(1, False)], NOON + DAY).score == 200


def test_withdrawal_takes_effect_from_its_instant() -> None:
    hits = [view(0, True), view(1), view(2, False), view(3), view(4, True)]
    assert [points(*hits, days=day) for day in range(5)] == [1, 2, 2, 2, 3]


def test_a_word_counts_from_the_instant_it_names() -> None:
    assert points(view(0), view(1), view(2, True, at=1)) == 2
    assert points(view(0, True), view(1), view(5, False, at=0.5)) == 1
    assert points(view(0, True, at=3), view(1), view(4)) == 1


def test_attributes_given_without_consent_make_no_fit() -> None:
    fit = {"rules": [{"id": "f", "points": 3, "all": [{"field": "attributes.size", "exists": True}]}]}
    model = compiled(fit=fit, consent={"profiling": "required"})
    without, agreed = act("page_viewed", attributes={"size": 1}), act("page_viewed", NOON + DAY, attributes={"size": 1})
    agreed.consent = {"profiling": True}
    assert fold_all(model, [without], NOON).score == 0
    assert fold_all(model, [without, agreed], NOON + DAY).score == 300


def test_every_word_is_kept_with_its_proof() -> None:
    one = view(0, True)
    one.consent = {"profiling": True, "email": False, "source": "form", "text": "同意します"}
    words = history_of([view(2, False), one])
    assert [(word.purpose, word.granted) for word in words] == [
        ("profiling", True),
        ("email", False),
        ("profiling", False),
    ]
    assert words[0].to_json()["text"] == "同意します"
    assert in_force(words, NOON + DAY) == {"profiling": True, "email": False}
    assert in_force(words, NOON + 3 * DAY) == {"profiling": False, "email": False}


@pytest.mark.parametrize("wrong", [{"profiling": "yes"}, {"without": "keep"}, {"email": "required"}, "required"])
def test_what_a_model_cannot_ask(wrong: Any) -> None:
    with pytest.raises(ModelFaults, match="consent"):
        compiled(consent=wrong)


def plainly(activities: list[Activity], at: datetime) -> int:
    """The rule written out: an activity counts if the last word whose instant it has reached grants it."""
    count = 0
    happened = [one for one in activities if one.occurred_at <= at]
    for one in happened:
        best = None
        for other in happened:
            word = (other.consent or {}).get("profiling")
            if word is None:
                continue
            said = datetime.fromisoformat((other.consent or {}).get("at") or other.occurred_at.isoformat())
            if said <= one.occurred_at and (best is None or (said, other.order) >= best[0]):
                best = ((said, other.order), word)
        count += bool(best and best[1])
    return count


SOME = st.builds(
    view,
    st.integers(0, 6),
    st.sampled_from([None, None, True, False]),
    st.sampled_from([None, None, 0, 2, 4]),
    st.integers(0, 10**6).map(str),
)


@few(120)
@given(st.lists(SOME, max_size=10, unique_by=lambda one: one.id), st.lists(st.integers(0, 10), max_size=3))
def test_in_any_pieces_what_counts_is_what_the_words_say(activities: list[Activity], cuts: list[int]) -> None:
    at = NOON + timedelta(days=7)
    expected = plainly(activities, at) * 100
    assert fold_all(ASKING, activities, at).score == expected
    ordered, start, state = sorted(activities, key=lambda one: one.order), 0, refold(MODELS, (), (), at)
    for cut in [*sorted(cuts), len(ordered)]:
        if not advance(MODELS, state, ordered[start:cut], at):
            state = refold(MODELS, ordered[:cut], (), at)
        state, start = LeadState.unpack(state.pack()), max(cut, start)
    assert state.evaluation(MODELS.primary, at).score == expected
