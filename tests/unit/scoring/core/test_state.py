"""States as JSON, and what they forget."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.core.fold import fold, new_state
from services.scoring.core.lead import LeadState, LiveModel, Models, refold
from services.scoring.core.profile import RECENT, Profile, brief
from services.scoring.core.state import decode, encode
from tests.unit.scoring.core.builders import DAY, NOON, act, one_rule


def test_a_state_forgets_what_a_window_has_left_behind() -> None:
    model = one_rule(repeat="every", decay={"window": "2d"})
    state = fold(model, new_state(model), [act("page_viewed", NOON + day * DAY) for day in range(9)])
    entries = state.entries[0]
    assert entries is not None
    assert (entries.count, len(entries.times)) == (9, 2)


def test_a_rule_without_decay_keeps_a_count_and_its_objects() -> None:
    model = one_rule()
    hits = [act("page_viewed", NOON + day * DAY, url=f"/{'x' * 99 * (day % 3)}") for day in range(9)]
    state = fold(model, new_state(model), hits)
    entries = state.entries[0]
    assert entries is not None
    assert (entries.count, entries.times, len(entries.keys)) == (3, [], 3)
    assert max(map(len, entries.keys)) < 40


def test_a_state_survives_json_and_another_engine_refuses_it() -> None:
    model = one_rule(repeat={"max": 2, "per": "1d"}, decay={"half_life": "3d"})
    state = fold(model, new_state(model), [act("page_viewed", NOON + day * DAY) for day in range(3)])
    stored = orjson.loads(orjson.dumps(encode(state)))
    assert orjson.dumps(encode(decode(stored))) == orjson.dumps(encode(state))
    with pytest.raises(ValueError, match="fold again"):
        decode(stored | {"format": 0})


def test_a_state_of_an_earlier_release_keeps_its_recent_activities() -> None:
    models = Models((LiveModel("test", 1, one_rule(repeat="every")),))
    state = refold(models, [act("page_viewed", email="a@example.com", url="/a")], [], NOON)
    first, *latest = state.pack().split(b"\n")
    raw = orjson.loads(first)
    raw[0][7] = [orjson.loads(one) for one in latest]
    before = LeadState.unpack(orjson.dumps(raw))
    assert before.profile.recent == state.profile.recent
    assert LeadState.unpack(before.pack()).profile == state.profile


@given(st.lists(st.integers(0, 2 * RECENT), max_size=5))
def test_the_latest_activities_are_those_of_the_end_however_they_came(portions: list[int]) -> None:
    hits = [act("page_viewed", NOON + day * DAY, id=f"a{day}", text="two\nlines") for day in range(sum(portions))]
    profile, start = Profile(), 0
    for count in portions:
        profile.add(hits[start : start + count])
        profile = Profile.decode(orjson.loads(orjson.dumps(profile.encode())), profile.latest)
        start += count
    expected = [brief(one) for one in reversed(hits[-RECENT:])]
    assert profile.recent == [orjson.loads(one) for one in expected]
    assert profile.latest_listed == b"[" + b",".join(expected) + b"]"
