"""What people did to leads, read back from `lead-lifecycle` into a database that was put back, or that is empty."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import asyncpg

from services.scoring import models as model_store
from services.scoring.core.entries import Entry, points_entry
from services.scoring.core.evaluation import ManualPoints
from services.scoring.core.events import Word
from services.scoring.core.lead import LeadState
from services.scoring.core.linking import LeadIdFor
from services.scoring.core.links import JOINED, PARTED, Link
from services.scoring.entering import Work, give_again
from services.scoring.entry_repository import EntryRepository
from services.scoring.erasing import delete_leads, note_erasure, with_merged
from services.scoring.erasures import Erasures
from services.scoring.merging import say_again
from services.scoring.repository import ScoringRepository
from services.scoring.settings import ScoringSettings
from services.scoring.tables import SCHEMA
from services.scoring.told import Told
from shared import outbox
from shared.clock import Clock, from_rfc3339
from shared.events import ERASED, MERGED, POINTS_GIVEN, OutboxRow
from shared.identity import Identifier, lead_id_for
from shared.topics import LEAD_LIFECYCLE

AT_ONCE = 10_000


@dataclass(slots=True)
class Restoring:
    """Does in one transaction again what was done to leads, and collects what is to be published of it.

    What happened to them was told before: that is not told twice, but the states that follow are.
    """

    work: Work
    erasures: Erasures
    named: Mapping[str, Identifier]
    """Which stored identifiers the keyed hashes stand for."""
    published: list[OutboxRow] = field(default_factory=list)

    async def do(self, told: Iterable[Told]) -> None:
        """One after the other, in the order in which it was done; what is about leads that are not here yet waits."""
        for one in told:
            if one.type == ERASED:
                await self._erase(one)
            elif one.type == POINTS_GIVEN:
                await self._give(read_points(one.body))
            else:
                await self._say(one)

    async def _give(self, entry: Entry) -> None:
        owner = (await self._owners([entry.anchor])).get(entry.anchor)
        if owner is None:
            await EntryRepository(self.work.conn).add([(None, entry)])
        else:
            self._tell(await give_again(self.work, owner, entry))

    async def _say(self, told: Told) -> None:
        body = told.body
        link = Link(JOINED if told.type == MERGED else PARTED, **body["anchors"])
        survivor, other = (told.lead_id, link.other) if told.type == MERGED else (body["unmerged_from"], told.lead_id)
        word = Word(link, survivor, other, body["author"])
        owned = await self._owners([link.survivor, link.other])
        self._tell(await say_again(self.work, word, told.at, owned))

    async def _erase(self, told: Told) -> None:
        """The leads that the event names, and those that are called by what it names before anything else."""
        owned = set((await self._owners(told.body["identifier_hashes"])).values())
        rows = await ScoringRepository(self.work.conn).lock_leads(owned)
        first = {id_: LeadState.unpack(row.state).profile.identifiers[0] for id_, row in rows.items()}
        own = {id_ for id_, identifier in first.items() if self.work.base_id_for(identifier) in told.erased}
        await forget(self.work.conn, told.body, own)
        self.published = [row for row in self.published if (row.key or b"").decode() not in told.erased]
        await self.erasures.refresh(self.work.conn)

    async def _owners(self, hashes: Iterable[str]) -> dict[str, str]:
        """By keyed hash the lead that owns what it stands for; those that nobody owns here are missing."""
        wanted = {self.named[one]: one for one in hashes if one in self.named}
        found = (await ScoringRepository(self.work.conn).owners(wanted)).owners if wanted else {}
        return {wanted[identifier]: owner.lead_id for identifier, owner in found.items()}

    def _tell(self, rows: Iterable[OutboxRow]) -> None:
        self.published += [row for row in rows if row.topic != LEAD_LIFECYCLE.name]


async def do_again(conn: asyncpg.Connection, settings: ScoringSettings, clock: Clock, new: Collection[Told]) -> None:
    """Do what `new` tells of in the transaction on `conn`, and leave in its outbox what follows."""
    models = await model_store.publish(conn, model_store.read_models(settings.config_dir))
    base = partial(lead_id_for, settings.identity_key)
    erasures = Erasures(base)
    await erasures.refresh(conn)
    work = Work(conn, models.current, erasures.lead_id_for, base, clock())
    restoring = Restoring(work, erasures, await _names_of(conn, new, base, erasures.lead_id_for))
    await restoring.do(new)
    await outbox.append(conn, SCHEMA, restoring.published, settings.kafka.partitions)


async def _names_of(conn: asyncpg.Connection, told: Iterable[Told], *hashes: LeadIdFor) -> dict[str, Identifier]:
    """Which stored identifiers are meant, by keyed hash. They do not stand in any index: all are looked through."""
    wanted = {name for one in told for name in (one.erased if one.type == ERASED else one.about)}
    found: dict[str, Identifier] = {}
    if wanted:
        async for row in conn.cursor("SELECT kind, value FROM scoring.identifier", prefetch=AT_ONCE):
            identifier = Identifier(*row)
            found.update((name, identifier) for name in {of(identifier) for of in hashes} & wanted)
    return found


async def forget(conn: asyncpg.Connection, body: Mapping[str, Any], owned: Collection[str] = ()) -> None:
    """Erase what a `lead.erased.v1` tells of, with the leads that are `owned` by the same person, and note it."""
    hashes, erased_at = body["identifier_hashes"], from_rfc3339(body["erased_at"])
    ids = await with_merged(conn, {*body["lead_ids"], *owned})
    gone = sorted({*ids, *body["lead_ids"], *hashes})
    await delete_leads(conn, ids, gone)
    await conn.execute("DELETE FROM scoring.outbox WHERE key = ANY($1::bytea[])", [one.encode() for one in gone])
    await note_erasure(conn, body["lead_id"], {*hashes, *body["lead_ids"]}, erased_at)


def read_points(body: Mapping[str, Any]) -> Entry:
    """The entry that a `lead.points-given.v1` tells of."""
    given_at, expires = from_rfc3339(body["given_at"]), body["expires_at"]
    points = ManualPoints(
        points=round(float(body["points"]) * 100),
        given_at=given_at,
        author=body["author"],
        reason=body["reason"],
        expires_at=from_rfc3339(expires) if expires else None,
    )
    return points_entry(body["id"], body["anchor"], given_at, points)
