"""Removing old activities changes no score: opening entries hold what can still count."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.oracle import scoring as oracle
from tests.properties import few
from tests.unit.scoring.core.choices import Drawn
from tests.unit.scoring.core.retained import keeps_every_score
from tests.unit.scoring.core.strategies import entries, leads, models


@few()
@given(models(), leads(), entries(), st.data())
def test_a_lead_without_its_old_activities_is_what_it_was(
    tree: dict[str, Any], acts: list[oracle.Act], given_: list[oracle.Entry], data: st.DataObject
) -> None:
    keeps_every_score([tree], acts, given_, Drawn(data))
