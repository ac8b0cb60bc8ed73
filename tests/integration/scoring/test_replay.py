"""Replaying from PostgreSQL: no difference after live scoring, and every planted one is found."""

from datetime import timedelta

import pytest

from services.scoring.core.lead import LeadState
from tests.integration.scoring.desk import Desk

PEOPLE = [f"lead-{number}@example.co.jp" for number in range(7)]


@pytest.fixture
async def busy(desk: Desk) -> Desk:
    """A desk that has scored three batches, late, repeated and merging activities among them."""
    for batch in range(3):
        await desk.receive(
            *(
                {
                    "id": f"{email}-{batch % 2}-{number}",
                    "type": ("document_downloaded", "seminar_attended", "page_viewed")[number],
                    "occurred_at": f"2026-11-{20 - batch:02d}T0{number}:00:00Z",
                    "lead": {"email": email, "anonymous_id": f"browser-{email}"} if batch else {"email": email},
                    "attributes": {"job_title": "製造部 課長"},
                    "properties": {"document": f"d{batch}"},
                }
                for email in PEOPLE
                for number in range(3)
            )
        )
    return desk


async def test_what_was_scored_live_is_what_a_fresh_fold_gives(busy: Desk) -> None:
    found = await busy.replayed()
    assert found.differences == []
    assert (found.leads, found.activities, found.waiting) == (len(PEOPLE), 42, 0)


async def test_a_spoilt_fold_is_found_with_what_differs(busy: Desk) -> None:
    lead_id, state = next(iter((await busy.states()).items()))
    state.profile.attributes["company"] = "somebody else"
    await busy.pool.execute("UPDATE scoring.lead SET state = $1 WHERE id = $2::uuid", state.pack(), lead_id)
    found = (await busy.replayed()).differences
    assert [(one.lead_id, one.what) for one in found] == [(lead_id, "attributes"), (lead_id, "search text")]
    assert all(one.stored != one.folded for one in found)


async def test_a_lost_activity_is_found(busy: Desk) -> None:
    await busy.pool.execute(
        "DELETE FROM scoring.activity WHERE (source, id) IN"
        " (SELECT source, id FROM scoring.activity WHERE type = 'seminar_attended' LIMIT 1)"
    )
    found = (await busy.replayed()).differences
    assert {"stored activities", "activities", "test: score", "test: reasons"} <= {one.what for one in found}


async def test_a_swapped_state_is_found(busy: Desk) -> None:
    first, second = list(await busy.states())[:2]
    await busy.pool.execute(
        "UPDATE scoring.lead SET state = (SELECT state FROM scoring.lead WHERE id = $1::uuid) WHERE id = $2::uuid",
        first,
        second,
    )
    assert second in {one.lead_id for one in (await busy.replayed()).differences}


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE scoring.lead SET score = score + 1 WHERE id = $1::uuid", "listed score"),
        ("UPDATE scoring.lead SET search = 'x' WHERE id = $1::uuid", "search text"),
        ("UPDATE scoring.lead SET has_email = false WHERE id = $1::uuid", "has e-mail"),
        ("UPDATE scoring.identifier SET value = 'x' WHERE lead_id = $1::uuid AND kind = 'email'", "owned identifiers"),
    ],
)
async def test_what_stands_beside_a_state_is_compared_too(busy: Desk, statement: str, what: str) -> None:
    lead_id = next(iter(await busy.states()))
    await busy.pool.execute(statement, lead_id)
    assert [(one.lead_id, one.what) for one in (await busy.replayed()).differences] == [(lead_id, what)]


async def test_a_lead_that_is_due_is_waited_for(busy: Desk) -> None:
    ahead = (busy.now + timedelta(minutes=4)).isoformat()
    await busy.receive({"id": "ahead", "type": "page_viewed", "occurred_at": ahead, "lead": {"email": PEOPLE[0]}})
    assert any(isinstance(state, LeadState) and state.ahead_at for state in (await busy.states()).values())
    assert (await busy.replayed()).waiting == 0
    busy.now += timedelta(minutes=5)
    found = await busy.replayed()
    assert (found.waiting, found.differences) == (1, [])
