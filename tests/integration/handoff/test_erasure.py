"""What handoff keeps of a person once it was erased: nothing that names it, and nothing to answer for."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.handoff.core.rules import load_rules
from services.handoff.settings import SmtpSection
from shared.events import ERASED
from shared.kafka.records import Record
from tests.integration.handoff.desk import Desk
from tests.integration.handoff.post_office import qualified, record
from tests.integration.handoff.test_other_destinations import Mailbox, collected, completed, mailbox, opened
from tests.unit.handoff.builders import day

__all__ = ["mailbox"]
WEEKLY = """
queues: {desk: {members: [{name: sato}]}}
rules:
  - {id: hot, enter: 50, leave: 45, to: desk, when: immediately}
  - {id: list, enter: 40, leave: 30, to: desk, when: immediately}
"""


def erased(*leads: str) -> Record:
    return record("lead-lifecycle", ERASED, f"{leads[0]}:erased", leads[0], {"lead_id": leads[0], "lead_ids": leads})


async def traces(desk: Desk) -> list[tuple[str, str | None, str | None]]:
    rows = await desk.pool.fetch(
        "SELECT h.state, h.by, h.reason FROM handoff.history h JOIN handoff.handoff o ON o.id = h.handoff_id"
        " WHERE o.lead_id = 'gone' AND o.rule = 'hot' ORDER BY h.number"
    )
    return [tuple(row) for row in rows]


async def listed(desk: Desk) -> list[str]:
    rows = await desk.pool.fetch("SELECT lead_id FROM handoff.extraction_row ORDER BY number")
    return [row[0] for row in rows]


async def with_two_leads(desk: Desk) -> list[str]:
    """Two leads handed over, on a list, and one of them accepted; the handoffs of that one."""
    desk.book = load_rules(WEEKLY).rulebook(2)
    await desk.states(desk.published("gone", 52), desk.published("kept", 52))
    await desk.pool.execute(
        "INSERT INTO handoff.extraction (id, rule, key, kind, queue, state, at, created_at)"
        " VALUES (gen_random_uuid(), 'list', 'k', 'list', 'desk', 'running', $1, $1)",
        desk.now,
    )
    await desk.run_at(desk.now)
    assert await listed(desk) == ["gone", "kept"]
    rows = await desk.pool.fetch("SELECT id::text FROM handoff.handoff WHERE lead_id = 'gone' ORDER BY rule")
    ids = [row[0] for row in rows]
    await desk.answers({"handoff_id": ids[0], "outcome": "accepted", "reason": "Yamada-san called", "by": "sato"})
    return ids


async def test_a_tombstone_takes_rows_and_words_and_ends_what_is_open(desk: Desk) -> None:
    ids = await with_two_leads(desk)
    before = len(await desk.outbox("handoff-outcomes"))
    desk.now = day(2)
    await desk.states(("gone", None))
    await desk.states(("gone", None))
    assert await listed(desk) == ["kept"]
    assert await desk.pool.fetchval("SELECT count FROM handoff.extraction") == 2
    said = (await traces(desk))[1:]
    assert said == [("accepted", None, None), ("lapsed", "kizashi", "erased")]
    rows = await desk.pool.fetch("SELECT lead_id, state, due_at, assign_at FROM handoff.handoff ORDER BY lead_id, rule")
    assert [tuple(row) for row in rows][:2] == [("gone", "lapsed", None, None)] * 2
    assert {row[1] for row in rows[2:]} == {"qualified"}
    told = (await desk.outbox("handoff-outcomes"))[before:]
    assert [(one["outcome"], one["reason"]) for one in told] == [("lapsed", "erased")] * 2
    assert sorted(one["handoff_id"] for one in told) == sorted(ids)


async def test_nobody_answers_for_an_erased_lead(desk: Desk) -> None:
    ids = await with_two_leads(desk)
    await desk.states(("gone", None))
    await desk.answers({"handoff_id": ids[0], "outcome": "converted", "by": "sato"})
    assert set(await desk.standing()) == {"lapsed", "qualified"}
    assert len(await desk.outbox("handoff-answers-dlq")) == 1


async def test_the_event_alone_does_the_same_once(desk: Desk, tmp_path: Path) -> None:
    await with_two_leads(desk)
    url = desk.settings.database.url.get_secret_value()
    async with opened(url, tmp_path) as office:
        await office.publish(erased("gone"))
    assert await listed(desk) == ["kept"]
    assert (await traces(desk))[1:] == [("accepted", None, None), ("lapsed", "kizashi", "erased")]
    before = len(await desk.outbox("handoff-outcomes"))
    await desk.states(("gone", None))
    assert len(await desk.outbox("handoff-outcomes")) == before


@pytest.mark.parametrize("by", ["event", "tombstone"])
@pytest.mark.parametrize("known", [True, False])
async def test_states_of_an_erased_lead_that_are_read_late_raise_nothing(
    desk: Desk, tmp_path: Path, by: str, known: bool
) -> None:
    desk.book = load_rules(WEEKLY).rulebook(2)
    if known:
        await desk.states(desk.published("gone", 10))
    if by == "event":
        async with opened(desk.settings.database.url.get_secret_value(), tmp_path) as office:
            await office.publish(erased("gone"))
    else:
        await desk.states(("gone", None))
    await desk.states(desk.published("gone", 52), ("gone", None), desk.published("kept", 52))
    await desk.states(desk.published("gone", 60))
    assert {one["lead"]["id"] for one in await desk.outbox("qualified-leads")} == {"kept"}
    assert await desk.pool.fetchval("SELECT state FROM handoff.lead WHERE id = 'gone'") is None


async def test_what_comes_late_of_an_erased_lead_is_not_delivered(desk: Desk, tmp_path: Path) -> None:
    await with_two_leads(desk)
    await desk.states(("gone", None))
    url = desk.settings.database.url.get_secret_value()
    async with opened(url, tmp_path) as office:
        id_ = await office.make(kind="folder", name="files", folder="leads")
        await office.publish(qualified(1, lead="gone"), qualified(1, lead="kept"))
        rows = await office.pool.fetch("SELECT lead_id FROM handoff.delivery WHERE destination_id = $1", id_)
    assert [row[0] for row in rows] == ["kept"]


@pytest.mark.usefixtures("mailbox")
async def test_the_message_about_a_run_is_not_kept_either(
    migrated: str, tmp_path: Path, mailbox: tuple[Mailbox, SmtpSection]
) -> None:
    _, smtp = mailbox
    async with opened(migrated, tmp_path, smtp=smtp) as office:
        id_ = await office.make(kind="mail", name="friday", to=["desk@example.co.jp"], digest=True)
        await office.publish(collected(1, name="山田 花子"), collected(2), completed(2))
        await office.settled(id_, *["delivered"] * 3)
        assert "山田 花子" in await said_in(office.pool, id_)
        await office.publish(erased("lead-1"))
        assert "山田 花子" not in await said_in(office.pool, id_)
        assert "desk@example.co.jp" in await said_in(office.pool, id_)


async def said_in(pool: Any, destination_id: UUID) -> str:
    rows = await pool.fetch("SELECT request::text FROM handoff.attempt WHERE destination_id = $1", destination_id)
    return "".join(row[0] for row in rows)
