"""Explaining a lead, and folding a very long one again from what is stored."""

import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from deploy.bench.measuring import Line, compare
from deploy.bench.rig import stack_of
from deploy.bench.sample import activities, email_of
from deploy.bench.scoring_rig import SECRET, Desk, fill, fresh_desk, kafka_of
from deploy.local.stack import Stack
from services.scoring.core.lead import refold
from services.scoring.explaining import Explainer, Question
from services.scoring.explanations import explanation_out
from services.scoring.repository import ScoringRepository
from services.scoring.settings import ScoringSection
from shared.clock import system_clock, to_rfc3339
from shared.codec import encode
from shared.identity import EMAIL, Identifier, lead_id_for
from shared.postgres import create_engine

USUAL, LONG = 1_000, 100_000
LEAD = Identifier(EMAIL, email_of(0))
SPREAD = timedelta(days=300)
TIMES = 20


async def measure() -> AsyncIterator[Line]:
    """explanation: reading a lead of 1,000 activities, explained whole; long_lead: folding one of 100,000 again."""
    with stack_of([]) as stack:
        yield await _on_a_lead(stack, USUAL, "explanation", "ms", _explain)
        yield await _on_a_lead(stack, LONG, "long_lead", "s", _fold_again)


async def _on_a_lead(stack: Stack, count: int, name: str, unit: str, work: Any) -> Line:
    kafka, now, topic = kafka_of(stack), system_clock(), f"bench-{name.replace('_', '-')}"
    await fill(kafka, topic, _spread(count, now), now)
    async with fresh_desk(stack) as desk:
        await desk.consume(topic, count, ScoringSection().max_records)
        return await compare(name, unit, partial(work, desk, now))


def _spread(count: int, now: datetime) -> list[dict[str, Any]]:
    """One lead's activities, evenly over the last 300 days."""
    step = SPREAD / count
    return [
        {**raw, "occurred_at": to_rfc3339(now - SPREAD + step * number)}
        for number, raw in enumerate(activities(count, 1))
    ]


async def _explain(desk: Desk, now: datetime) -> float:
    """Milliseconds from the question to the bytes of the answer."""
    engine = create_engine(desk.settings.database, name="bench-explanation")
    name_of = partial(lead_id_for, SECRET.encode())
    explainer = Explainer(engine, desk.models, name_of)
    question = Question(name_of(LEAD), now, desk.models.primary.name)
    try:
        await explainer.explain(question)
        started = time.perf_counter()
        for _ in range(TIMES):
            await _answer(explainer, question)
        return (time.perf_counter() - started) / TIMES * 1_000
    finally:
        await engine.dispose()


async def _answer(explainer: Explainer, question: Question) -> bytes:
    """As a request does it: nothing of it is left when the next one comes."""
    found = await explainer.explain(question)
    if found is None or found.activities != USUAL:
        raise RuntimeError("the lead to be explained is not there")
    return encode(explanation_out(found, USUAL))


async def _fold_again(desk: Desk, now: datetime) -> float:
    """Seconds from the stored activities to the folded state."""
    lead_id = lead_id_for(SECRET.encode(), LEAD)
    async with desk.pool.acquire() as conn:
        started = time.perf_counter()
        history = await ScoringRepository(conn).activities_of([lead_id])
        state = refold(desk.models.current, history[lead_id], [LEAD], now)
        took = time.perf_counter() - started
    if state.profile.count != LONG:
        raise RuntimeError("the lead to be folded is not there")
    return took
