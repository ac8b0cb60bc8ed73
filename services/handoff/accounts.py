"""The consumer of `account-scores`: accounts are judged batch by batch, each in one transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from services.handoff.core.accounts import (
    AccountMemory,
    AccountState,
    after_cycle,
    judge_account,
    pack_memories,
    parse_account,
    unpack_memories,
)
from services.handoff.core.rules import Rule
from services.handoff.handlers import StateHandler
from services.handoff.incoming import asks_for_silence, typed_value
from services.handoff.outcomes import Done
from shared.errors import InvalidMessage
from shared.events import ACCOUNT_CHANGED, OutboxRow
from shared.kafka.dead_letter import dead_letter
from shared.kafka.records import Record
from shared.topics import ACCOUNT_SCORES


class AccountHandler(StateHandler):
    """Judges the states of `account-scores` by the account rules of its book."""

    topics = (ACCOUNT_SCORES.name,)

    def __init__(self, *parts: Any, rules: Sequence[Rule], installed_at: datetime) -> None:
        super().__init__(*parts, installed_at=installed_at)
        self._rules = rules

    async def _work(self, conn: asyncpg.Connection, records: Sequence[Record]) -> Done:
        arrived: list[tuple[AccountState, bool]] = []
        ended: set[str] = set()
        published: list[OutboxRow] = []
        for record in records:
            if record.value is None:
                ended.add((record.key or b"").decode(errors="replace"))
                continue
            try:
                state = _read(record, record.value)
            except InvalidMessage as error:
                published.append(dead_letter(record, str(error)))
                continue
            before = self._first_start.was_there_before(record, state.evaluated_at)
            arrived.append((state, asks_for_silence(record) or before))
            ended.discard(state.account_id)
        published += await _judge(conn, self._rules, arrived)
        await forget_accounts(conn, ended)
        return Done(published)


def _read(record: Record, value: bytes) -> AccountState:
    typed_value(record, ACCOUNT_CHANGED)
    state = parse_account(value)
    if record.key is not None and record.key != state.account_id.encode():
        raise InvalidMessage("expected the account's id as key")
    return state


async def _judge(
    conn: asyncpg.Connection, rules: Sequence[Rule], arrived: Sequence[tuple[AccountState, bool]]
) -> list[OutboxRow]:
    if not arrived:
        return []
    accounts = await lock_accounts(conn, {state.account_id for state, _ in arrived})
    published = []
    for state, silent in arrived:
        accounts[state.account_id], rows = judge_account(rules, accounts[state.account_id], state, silent=silent)
        published += rows
    await put_accounts(conn, accounts)
    return published


async def lock_accounts(conn: asyncpg.Connection, ids: set[str]) -> dict[str, AccountMemory]:
    """Lock accounts and read their memories; unknown ones are made."""
    ordered = sorted(ids)
    await conn.execute(
        "INSERT INTO handoff.account (id) SELECT * FROM unnest($1::text[]) ON CONFLICT DO NOTHING", ordered
    )
    rows = await conn.fetch(
        "SELECT id, version, state, rules FROM handoff.account WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE",
        ordered,
    )
    return {
        id_: AccountMemory(version, parse_account(state) if state else None, unpack_memories(rules) if rules else {})
        for id_, version, state, rules in rows
    }


async def put_accounts(conn: asyncpg.Connection, accounts: Mapping[str, AccountMemory]) -> None:
    """Write locked accounts."""
    ordered = sorted(accounts)
    await conn.execute(
        "UPDATE handoff.account a SET version = n.version, state = n.state, rules = n.rules FROM unnest($1::text[],"
        " $2::bigint[], $3::bytea[], $4::bytea[]) AS n(id, version, state, rules) WHERE a.id = n.id",
        ordered,
        [accounts[id_].version for id_ in ordered],
        [_packed(accounts[id_].last) for id_ in ordered],
        [pack_memories(accounts[id_].rules) for id_ in ordered],
    )


async def forget_accounts(conn: asyncpg.Connection, ids: set[str]) -> None:
    """Keep no name of accounts to which nobody belongs any more. Their cycles stay: they may come back."""
    if ids:
        await conn.execute("UPDATE handoff.account SET state = NULL WHERE id = ANY($1::text[])", sorted(ids))


def _packed(state: AccountState | None) -> bytes | None:
    return state.model_dump_json().encode() if state is not None else None


async def take_in(conn: asyncpg.Connection, events: Sequence[Mapping[str, Any]]) -> int:
    """Let accounts of a restored database remember the cycles that subscribers have seen; returns how many are new."""
    accounts = await lock_accounts(conn, {event["account"]["id"] for event in events}) if events else {}
    taken = 0
    for event in events:
        id_ = event["account"]["id"]
        after = after_cycle(accounts[id_], event["rule"], event["cycle"], event["crossed_at"], event["score"])
        taken += after is not accounts[id_]
        accounts[id_] = after
    if accounts:
        await put_accounts(conn, accounts)
    return taken
