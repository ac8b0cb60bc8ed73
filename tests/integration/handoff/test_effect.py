"""The report on handoffs, on what real consumers have stored."""

from typing import Any

import pytest

from services.handoff.core.effect import Dimension, effects, to_json
from services.handoff.effect_reading import EffectReader, Stretch
from shared.postgres import create_engine
from tests.integration.handoff.desk import Desk
from tests.unit.handoff.builders import day

EVERYTHING = Stretch(None, None)


def touched(campaign: str) -> list[dict[str, Any]]:
    return [{"source": "mail", "type": "document_downloaded", "properties": {"campaign": campaign}}]


async def report(desk: Desk, by: tuple[Dimension, ...], stretch: Stretch = EVERYTHING) -> list[dict[str, Any]]:
    engine = create_engine(desk.settings.database, name="test")
    try:
        found = effects(await EffectReader(engine).standings(by, stretch))
    finally:
        await engine.dispose()
    return [to_json(by, group, effect) for group, effect in found.items()]


@pytest.fixture
async def answered(desk: Desk) -> Desk:
    """Two leads of one campaign, won and refused; one of another that nobody answered; one of no campaign."""
    await desk.states(
        desk.published("a", 52, recent_activities=touched("expo")),
        desk.published("b", 57, recent_activities=touched("expo")),
        desk.published("c", 61, recent_activities=touched("mail")),
        desk.published("d", 99),
    )
    ids = {row[0]: str(row[1]) for row in await desk.pool.fetch("SELECT lead_id, id FROM handoff.handoff")}
    await desk.answers(
        {"handoff_id": ids["a"], "outcome": "accepted"},
        {"handoff_id": ids["a"], "outcome": "converted"},
        {"handoff_id": ids["b"], "outcome": "rejected", "reason": "student"},
        {"handoff_id": ids["d"], "outcome": "accepted"},
    )
    return desk


async def test_counts_by_campaign_and_by_band(answered: Desk) -> None:
    by_campaign = {one["campaign"]: one for one in await report(answered, ("campaign",))}
    assert by_campaign.keys() == {"expo", "mail", None}
    expo = by_campaign["expo"]
    assert (expo["qualified"], expo["accepted"], expo["converted"], expo["rejected"]) == (2, 1, 1, 1)
    assert expo["rejected_by_reason"] == {"student": 1}
    assert (expo["acceptance"]["hits"], expo["acceptance"]["of"]) == (1, 2)
    assert by_campaign["mail"]["waiting"] == 1
    bands = {one["band"]: one["qualified"] for one in await report(answered, ("source", "band"))}
    assert bands == {"50-59": 2, "60-69": 1, "90-99": 1}


async def test_only_the_stretch_asked_for_counts(answered: Desk) -> None:
    (whole,) = await report(answered, ("rule",), Stretch(day(1), day(2)))
    assert whole["qualified"] == 4
    assert await report(answered, ("rule",), Stretch(None, day(1))) == []
    assert await report(answered, ("rule",), Stretch(day(1.5), None)) == []
