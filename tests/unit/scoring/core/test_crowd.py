"""Leads that merge by themselves and by hand, and are taken apart again: everybody ends with the oracle's score."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle import scoring as oracle
from tests.properties import few, many
from tests.unit.scoring.core.choices import Drawn
from tests.unit.scoring.core.crowds import crowds, leads_are_the_oracles, trees
from tests.unit.scoring.core.strategies import entries


@few()
@given(trees(), crowds(), entries(), st.data())
def test_everybody_ends_where_the_oracle_says(
    tree: dict[str, Any], acts: list[oracle.Act], entered: list[oracle.Entry], data: st.DataObject
) -> None:
    leads_are_the_oracles(tree, acts, entered, Drawn(data))


@pytest.mark.long
@many(3_000)
@given(trees(), crowds(), entries(), st.data())
def test_everybody_ends_where_the_oracle_says_at_length(
    tree: dict[str, Any], acts: list[oracle.Act], entered: list[oracle.Entry], data: st.DataObject
) -> None:
    leads_are_the_oracles(tree, acts, entered, Drawn(data))
