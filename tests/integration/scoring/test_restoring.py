"""What people did since a backup, or before a database was lost, is done again from what the topic tells of it."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.local.backup import back_up, check_backup, restore_database
from deploy.local.paths import DataFolder
from services.scoring.restoring import do_again
from services.scoring.told import Told, read_told, unknown
from shared.clock import to_rfc3339
from shared.errors import KizashiError
from shared.events import unpack_headers
from shared.identity import ANONYMOUS, EMAIL
from shared.recovery import RecoveryDue, check_not_due, end_due
from tests.conftest import PostgresServer
from tests.integration.scoring.desk import NOW, Desk, activity, lead_of, open_desk

NAMES = ("taro", "yamada", "hanako", "sato")
TARO, YAMADA, HANAKO, SATO = (lead_of(EMAIL, f"{name}@example.co.jp") for name in NAMES)
BROWSER = lead_of(ANONYMOUS, "b1")


def did(id_: str, who: str = "taro", *, days: float = 3, kind: str = "document_downloaded", **lead: str) -> Any:
    return {
        "id": id_,
        "type": kind,
        "occurred_at": to_rfc3339(NOW - timedelta(days=days)),
        "lead": lead or {"email": f"{who}@example.co.jp"},
        "properties": {"document": id_},
    }


async def ask(desk: Desk, method: str, path: str, **body: Any) -> Any:
    """One call, a minute after the one before."""
    desk.now += timedelta(minutes=1)
    async with desk.http() as http:
        answer = await http.request(method, f"/v1/leads/{path}", json=body or None)
    assert answer.is_success, answer.text
    return answer


async def told_by(desk: Desk) -> list[Told]:
    """What the topic has, as far as the outbox still has it."""
    rows = await desk.pool.fetch("SELECT value, headers FROM scoring.outbox WHERE topic = 'lead-lifecycle' ORDER BY id")
    records: list[Any] = [SimpleNamespace(value=row[0], headers=unpack_headers(row[1])) for row in rows]
    return [told for record in records if (told := read_told(record)) is not None]


async def catch_up(desk: Desk, told: Sequence[Told]) -> list[Told]:
    """As a recovery does; returns what was unknown."""
    async with desk.pool.acquire() as conn, conn.transaction():
        new = await unknown(conn, told)
        await do_again(conn, desk.settings, lambda: desk.now, new)
    return new


async def standing(desk: Desk) -> dict[str, tuple[float | None, dict[str, Any]]]:
    """Every lead's score and what it is called by."""
    states = await desk.states()
    return {id_: (await desk.score_of(id_), state.profile.identifiers_out()) for id_, state in states.items()}


@dataclass
class Backups:
    """A desk's database, backed up and put back."""

    desk: Desk
    folder: Path
    ends: dict[Any, int] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.desk.settings.database.url.get_secret_value()

    def make(self) -> None:
        self.ends = dict(self.desk.ends)
        back_up(DataFolder.at(self.folder / "data"), self.url, self.folder / "backup")

    async def put_back(self) -> None:
        await self.desk.pool.expire_connections()
        restore_database(self.url, self.folder / "backup", "kizashi restore --database-is-restored")
        await self.desk.engine.dispose()
        self.desk.ends = dict(self.ends)


@pytest.fixture
def backups(desk: Desk, tmp_path: Path) -> Backups:
    return Backups(desk, tmp_path)


async def test_what_was_done_since_a_backup_is_done_again(desk: Desk, backups: Backups) -> None:
    await desk.receive(did("a1"), did("y1", "yamada"), did("h1", "hanako"), did("s1", "sato", days=5))
    await ask(desk, "POST", f"{SATO}/points", points=3, reason="before")
    backups.make()
    after = [did("n1", "nobody"), did("a2", days=1)]
    await desk.receive(*after)
    await ask(desk, "POST", f"{TARO}/points", id="p1", points=4, reason="after")
    await ask(desk, "POST", f"{TARO}/merge", **{"with": YAMADA})
    await ask(desk, "POST", f"{SATO}/merge", **{"with": HANAKO})
    await ask(desk, "POST", f"{SATO}/unmerge", **{"with": HANAKO})
    await ask(desk, "DELETE", HANAKO)
    await ask(desk, "DELETE", lead_of(EMAIL, "nobody@example.co.jp"))
    before, told = await standing(desk), await told_by(desk)
    assert before[TARO][0] == 19

    await backups.put_back()
    assert HANAKO in await standing(desk)
    new = await catch_up(desk, told)
    assert [one.type.split(".")[1] for one in new] == [
        "points-given",
        "merged",
        "merged",
        "unmerged",
        "erased",
        "erased",
    ]
    assert await desk.pool.fetchval("SELECT count(*) FROM scoring.activity WHERE body::text LIKE '%hanako%'") == 0
    published = [value for _, value in await desk.published() if value]
    assert {one["lead_id"] for one in published if one["cause"] == "manual"} == {TARO, SATO}
    assert [value for _, value in await desk.published("lead-lifecycle") if value and value["lead_id"] == TARO] == []
    await desk.receive(*after)
    assert await standing(desk) == before
    assert [await desk.resolve(one) for one in (YAMADA, SATO)] == [TARO, SATO]
    assert (await desk.replayed()).differences == []
    assert await catch_up(desk, told) == []
    assert await desk.pool.fetchval("SELECT count(DISTINCT lead_id) FROM scoring.erasure") == 2


async def test_a_lead_is_taken_out_again_before_its_erasure_takes_it_alone(desk: Desk, backups: Backups) -> None:
    await desk.receive(did("a1"), did("y1", "yamada"))
    await ask(desk, "POST", f"{TARO}/merge", **{"with": YAMADA})
    await ask(desk, "POST", f"{TARO}/points", id="p1", points=4, reason="stays")
    backups.make()
    await ask(desk, "POST", f"{TARO}/unmerge", **{"with": YAMADA})
    await ask(desk, "POST", f"{YAMADA}/points", id="p2", points=9, reason="goes")
    await ask(desk, "DELETE", YAMADA)
    before, told = await standing(desk), await told_by(desk)

    await backups.put_back()
    assert len(await catch_up(desk, told)) == 2
    assert await standing(desk) == before
    assert [row[0] for row in await desk.pool.fetch("SELECT id FROM scoring.entry")] == ["p1"]
    assert (await desk.replayed()).differences == []
    await desk.receive(did("y1", "yamada"), did("y2", "yamada"))
    assert await standing(desk) == before


async def test_a_dump_that_ends_too_soon_leaves_the_database_as_it_is(desk: Desk, backups: Backups) -> None:
    await desk.receive(*(did(f"a{number}", f"p{number}") for number in range(200)))
    backups.make()
    dump = backups.folder / "backup" / "kizashi.dump"
    before, size = await standing(desk), dump.stat().st_size
    for part in (size - 1_000, size * 2 // 3, size // 3):
        os.truncate(dump, part)
        with pytest.raises(KizashiError, match="is damaged, and nothing was changed"):
            check_backup(dump.parent)
        with pytest.raises(KizashiError, match="the database is as it was"):
            await backups.put_back()
        assert await standing(desk) == before
    (dump.parent / "backup.json").unlink()
    with pytest.raises(KizashiError, match="pg_restore failed"):
        check_backup(dump.parent)


async def test_what_was_put_back_has_to_catch_up_first(desk: Desk, backups: Backups) -> None:
    await desk.receive(did("a1"))
    backups.make()
    check_backup(backups.folder / "backup")
    for _ in range(2):
        await backups.put_back()
        async with desk.pool.acquire() as conn:
            with pytest.raises(RecoveryDue, match="run `kizashi restore --database-is-restored`"):
                await check_not_due(conn, "scoring")
    async with desk.pool.acquire() as conn, conn.transaction():
        await end_due(conn, "scoring")
    async with desk.pool.acquire() as conn:
        await check_not_due(conn, "scoring")


async def test_who_came_back_after_an_erasure_is_not_erased_again(desk: Desk, backups: Backups) -> None:
    await desk.receive(did("h1", "hanako"))
    await ask(desk, "POST", f"{HANAKO}/points", id="p1", points=9, reason="goes")
    await ask(desk, "DELETE", HANAKO)
    desk.now += timedelta(days=1)
    later = did("h2", "hanako", days=-1)
    later["occurred_at"] = to_rfc3339(desk.now)
    await desk.receive(later)
    backups.make()
    before, told = await standing(desk), await told_by(desk)
    await backups.put_back()
    assert await catch_up(desk, told) == []
    assert await standing(desk) == before


@pytest.fixture
async def empty(postgres_server: PostgresServer, tmp_path: Path) -> AsyncIterator[Desk]:
    url = postgres_server.create_database()
    (tmp_path / "empty").mkdir()
    desk = await open_desk(url, tmp_path / "empty")
    yield desk
    await desk.engine.dispose()
    await desk.pool.close()
    postgres_server.drop_database(url)


@pytest.mark.parametrize("seed", range(6))
async def test_words_and_points_are_there_before_the_activities_of_an_empty_database(
    desk: Desk, empty: Desk, seed: int
) -> None:
    posted = [
        did("a1", days=9),
        did("y1", "yamada", days=8),
        did("y2", kind="seminar_attended", days=2, email="yamada@example.co.jp", anonymous_id="b2"),
        did("h1", "hanako", days=7),
        did("b1", days=6, anonymous_id="b1"),
        did("c1", days=5, email="sato@example.co.jp", phone="090-1234-5678"),
        did("c2", days=4, phone="090-1234-5678", anonymous_id="b3"),
        did("c3", days=3, anonymous_id="b3"),
        did("d1", days=3, anonymous_id="b4"),
    ]
    await desk.receive(*posted[:5], *posted[5:])
    await ask(desk, "POST", f"{YAMADA}/points", id="p1", points=4, reason="first")
    await ask(desk, "POST", f"{TARO}/merge", **{"with": YAMADA})
    await ask(desk, "POST", f"{YAMADA}/points", id="p2", points=2, reason="then")
    await ask(desk, "POST", f"{HANAKO}/merge", **{"with": BROWSER})
    await ask(desk, "POST", f"{HANAKO}/unmerge", **{"with": BROWSER})
    linking = did("b2", days=1, email="hanako@example.co.jp", anonymous_id="b1")
    await desk.receive(linking)
    await ask(desk, "POST", f"{SATO}/merge", **{"with": lead_of(ANONYMOUS, "b4")})
    await ask(desk, "POST", f"{SATO}/points", id="p3", points=1, reason="last")
    before, told = await standing(desk), await told_by(desk)
    assert [before[one][0] for one in (TARO, HANAKO, BROWSER, SATO)] == [25.77, 10, 5, 21]

    dice = random.Random(seed)
    posted = [*posted, linking]
    dice.shuffle(posted)
    empty.now = desk.now
    assert len(await catch_up(empty, told)) == len(told) == 7
    while posted:
        count = dice.randrange(1, 4)
        await empty.receive(*posted[:count])
        posted = posted[count:]
    assert await standing(empty) == before
    for one in (YAMADA, lead_of(ANONYMOUS, "b4")):
        assert await empty.resolve(one) == await desk.resolve(one)
    assert await empty.pool.fetchval("SELECT count(*) FROM scoring.entry WHERE lead_id IS NULL") == 0
    assert (await empty.replayed()).differences == []


@pytest.mark.parametrize("seed", range(3))
async def test_what_a_merge_by_hand_took_along_is_together_in_an_empty_database(
    desk: Desk, empty: Desk, backups: Backups, seed: int
) -> None:
    posted = [
        did("b1", days=8, anonymous_id="b1"),
        did("a1", days=9, email="taro@example.co.jp", anonymous_id="b1"),
        did("y1", days=7, email="yamada@example.co.jp", anonymous_id="b1"),
    ]
    await desk.receive(posted[0])
    await desk.receive(posted[1])
    await ask(desk, "POST", f"{TARO}/unmerge", **{"with": BROWSER})
    await desk.receive(posted[2])
    backups.make()
    await ask(desk, "POST", f"{TARO}/merge", **{"with": BROWSER})
    before, told = await standing(desk), await told_by(desk)
    assert {id_: score for id_, (score, _) in before.items()} == {TARO: 15}

    random.Random(seed).shuffle(posted)
    empty.now = desk.now
    assert len(await catch_up(empty, told)) == len(told) == 3
    for one in posted:
        await empty.receive(one)
    assert await standing(empty) == before
    assert [await empty.resolve(one) for one in (YAMADA, BROWSER)] == [TARO] * 2
    assert (await empty.replayed()).differences == []

    await backups.put_back()
    assert len(await catch_up(desk, told)) == 2
    assert await standing(desk) == before
    assert await catch_up(desk, told) == []
    assert (await desk.replayed()).differences == []


async def test_two_workers_that_bring_one_half_each_of_what_was_joined_do_join_it(desk: Desk, empty: Desk) -> None:
    await desk.receive(did("a1"), did("y1", "yamada"))
    await ask(desk, "POST", f"{TARO}/merge", **{"with": YAMADA})
    told = await told_by(desk)
    await catch_up(empty, told)
    halves = [await empty.of([one]) for one in map(activity, (did("a1"), did("y1", "yamada")))]
    await asyncio.gather(*(empty.handler().handle(half) for half in halves))
    assert await empty.score_of(TARO) == 10
