"""The law: a score is a function of the set of activities and entries, the model and the instant, and nothing else.

Random leads under random models, against the oracle, whatever the order of arrival and wherever batches are cut.
"""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle import scoring as oracle
from tests.properties import few, many
from tests.unit.scoring.core.choices import Drawn
from tests.unit.scoring.core.lives import agrees, holds_for_any_path, permuted_and_cut
from tests.unit.scoring.core.strategies import entries, instants, leads, models

AFTER = st.one_of(instants(), instants().map(lambda instant: instant + timedelta(days=70)))
READINGS = st.lists(AFTER, min_size=1, max_size=4)
GIVEN = st.sampled_from([None, None, {"title": "部長", "size": 100}, {"company": {"name": "Sample"}, "title": ""}])


@few()
@given(models(), leads(), AFTER, entries(), GIVEN)
def test_the_oracle_agrees(
    tree: dict[str, Any], acts: list[oracle.Act], at: datetime, entered: list[oracle.Entry], given_: Any
) -> None:
    agrees(tree, acts, at, entered, given_)


@few()
@given(models(), leads(), entries(), READINGS, st.data())
def test_any_path_leads_to_the_oracles_score(
    tree: dict[str, Any],
    acts: list[oracle.Act],
    entered: list[oracle.Entry],
    readings: list[datetime],
    data: st.DataObject,
) -> None:
    holds_for_any_path(tree, acts, entered, readings, Drawn(data))


@few()
@given(models(), leads(), AFTER, st.data())
def test_order_duplicates_and_batches_change_nothing(
    tree: dict[str, Any], acts: list[oracle.Act], at: datetime, data: st.DataObject
) -> None:
    permuted_and_cut(tree, acts, at, Drawn(data))


@pytest.mark.long
@many(3_000)
@given(models(), leads(40), AFTER, entries(), GIVEN)
def test_the_oracle_agrees_at_length(
    tree: dict[str, Any], acts: list[oracle.Act], at: datetime, entered: list[oracle.Entry], given_: Any
) -> None:
    agrees(tree, acts, at, entered, given_)


@pytest.mark.long
@many(3_000)
@given(models(), leads(30), entries(), READINGS, st.data())
def test_any_path_leads_to_the_oracles_score_at_length(
    tree: dict[str, Any],
    acts: list[oracle.Act],
    entered: list[oracle.Entry],
    readings: list[datetime],
    data: st.DataObject,
) -> None:
    holds_for_any_path(tree, acts, entered, readings, Drawn(data))


@pytest.mark.long
@many(3_000)
@given(models(), leads(30), AFTER, st.data())
def test_order_duplicates_and_batches_at_length(
    tree: dict[str, Any], acts: list[oracle.Act], at: datetime, data: st.DataObject
) -> None:
    permuted_and_cut(tree, acts, at, Drawn(data))
