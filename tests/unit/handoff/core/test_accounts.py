"""Accounts under rules of their own: the judge of leads, one record per cycle."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from services.handoff.core.accounts import (
    AccountMemory,
    AccountState,
    account_rules,
    after_cycle,
    judge_account,
    pack_memories,
    parse_account,
    unpack_memories,
)
from services.handoff.core.rules import Rule, RuleFaults, load_rules
from shared.clock import to_rfc3339
from shared.errors import InvalidMessage
from shared.events import ACCOUNT_QUALIFIED, OutboxRow, unpack_headers
from tests.unit.handoff.builders import day

ACCOUNT = "2c7b1a90-4d1e-8b7a-a6f0-91c3e5d2b804"
LEADS = "rules: []\n"


def rules(more: str = "") -> tuple[Rule, ...]:
    entry = f"{{id: hot-account, enter: 70, leave: 60, cooldown: 30d{', ' if more else ''}{more}}}"
    return account_rules(load_rules(f"{LEADS}account_rules:\n  - {entry}\n").file.account_rules)


def body(score: float | None, at: float, version: int, **more: Any) -> dict[str, Any]:
    model = {"version": 3, "score": score, "scores": {"damped": score}, "active_contacts": more.pop("active", 2),
             "contacts": [{"lead_id": ACCOUNT, "score": 40.0}]}  # fmt: skip
    given = {"name": "株式会社サンプル", "domains": ["example.co.jp"], "primary": "test", "cause": "activity"}
    return {"account_id": ACCOUNT, "version": version, "models": {"test": model}, "evaluated_at": to_rfc3339(day(at)),
            **given, **more}  # fmt: skip


def state(score: float | None, at: float, version: int, **more: Any) -> AccountState:
    return parse_account(orjson.dumps(body(score, at, version, **more)))


def judged(
    book: tuple[Rule, ...], *states: AccountState, silent: bool = False
) -> tuple[AccountMemory, list[OutboxRow]]:
    memory, rows = AccountMemory(), []
    for one in states:
        memory, new = judge_account(book, memory, one, silent=silent)
        memory = AccountMemory(memory.version, memory.last, unpack_memories(pack_memories(memory.rules)))
        rows += new
    return memory, rows


def cycles(rows: list[OutboxRow]) -> list[int]:
    return [orjson.loads(row.value or b"")["cycle"] for row in rows]


def test_a_rise_is_one_record_and_a_dip_above_leave_raises_nothing() -> None:
    _, rows = judged(rules(), state(68, 0, 1), state(72, 1, 2), state(65, 2, 3), state(75, 3, 4))
    (row,) = rows
    value = orjson.loads(row.value or b"")
    assert (value["account"]["name"], value["rule"], value["cycle"], value["score"]) == (
        "株式会社サンプル",
        "hot-account",
        1,
        72,
    )
    assert value["threshold"] == {"enter": 70, "leave": 60}
    headers = dict(unpack_headers(row.headers))
    assert (headers["ce_id"], headers["ce_type"]) == (f"{ACCOUNT}:hot-account:1".encode(), ACCOUNT_QUALIFIED.encode())


def test_a_second_cycle_needs_a_fall_below_leave_and_the_cooldown() -> None:
    within = judged(rules(), state(72, 0, 1), state(50, 1, 2), state(72, 10, 3))[1]
    assert cycles(within) == [1]
    after = judged(rules(), state(72, 0, 1), state(50, 31, 2), state(72, 32, 3))[1]
    assert cycles(after) == [1, 2]


def test_the_same_state_again_and_an_older_one_change_nothing() -> None:
    memory, rows = judged(rules(), state(72, 0, 5), state(72, 0, 5), state(10, 1, 4))
    assert (cycles(rows), memory.version) == ([1], 5)


def test_gates_ask_for_active_contacts_and_names() -> None:
    two = rules("require: {active_contacts: 2}")
    assert cycles(judged(two, state(80, 0, 1, active=1))[1]) == []
    assert cycles(judged(two, state(80, 0, 1, active=1), state(80, 1, 2, active=2))[1]) == [1]
    named = rules("require: {none: [{field: attributes.name, contains: 代理店}], all: [{field: score.total, gte: 75}]}")
    assert cycles(judged(named, state(80, 0, 1))[1]) == [1]
    assert cycles(judged(named, state(80, 0, 1, name="サンプル代理店"))[1]) == []
    assert cycles(judged(named, state(72, 0, 1))[1]) == []


def test_a_new_model_and_what_was_there_before_raise_nothing() -> None:
    assert cycles(judged(rules(), state(80, 0, 1, cause="model"), state(81, 1, 2))[1]) == []
    assert cycles(judged(rules(), state(80, 0, 1), silent=True)[1]) == []


def test_a_rule_added_later_takes_note_of_the_last_state_first() -> None:
    memory, _ = judged((), state(80, 0, 1))
    assert judge_account(rules(), memory, state(82, 1, 2), silent=False)[1] == []


def test_an_account_without_a_score_meets_nothing() -> None:
    assert judged(rules(), state(None, 0, 1))[1] == []


def test_a_cycle_that_subscribers_have_seen_is_not_raised_again() -> None:
    memory = after_cycle(AccountMemory(), "hot-account", 3, to_rfc3339(day(0)), 72.0)
    assert judge_account(rules(), memory, state(75, 1, 1), silent=False)[1] == []
    assert after_cycle(memory, "hot-account", 2, to_rfc3339(day(0)), 72.0) is memory


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("account_rules: [{id: a, enter: 1}, {id: a, enter: 2}]", "account_rules[1].id"),
        ("account_rules: [{id: a, enter: 1, leave: 2}]", "account_rules[0].leave"),
        ("account_rules: [{id: a, enter: 1, to: desk}]", "account_rules[0].to"),
        ("account_rules: [{id: a, enter: 1, require: {all: [{field: grade, equals: A}]}}]", "account_rules[0].require"),
    ],
)
def test_a_faulty_account_rule_is_named(text: str, expected: str) -> None:
    with pytest.raises(RuleFaults, match=r"handoff\.yaml:2") as caught:
        load_rules(f"{LEADS}{text}\n")
    assert expected in str(caught.value)


def test_what_is_no_account_is_refused() -> None:
    with pytest.raises(InvalidMessage, match="version"):
        parse_account(orjson.dumps({**body(1, 0, 1), "version": 0}))


@pytest.mark.parametrize("guide", ["accounts.md", "accounts.ja.md"])
def test_the_guides_show_a_rule_that_works(guide: str) -> None:
    text = (Path(__file__).parents[4] / "docs" / guide).read_text(encoding="utf-8")
    shown = text.split("```yaml")[-1].split("```")[0]
    (rule,) = account_rules(load_rules(f"{LEADS}{shown}").file.account_rules)
    assert (rule.id, rule.enter, int(rule.leave)) == ("hot-account", 7000, 6000)
