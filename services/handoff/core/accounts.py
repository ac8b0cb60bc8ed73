"""Accounts crossing their own rules: what `handoff.yaml` says of them, and the judging of their published states.

They are judged as leads are (`crossing.judge`), but nobody is handed anything: a cycle is one record, and a rule is
armed again once the score lay below `leave` while the cooldown was over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Annotated, Any

from pydantic import Field, ValidationError

from services.handoff.core.crossing import Crossing, RuleMemory, judge
from services.handoff.core.file import AccountEntry
from services.handoff.core.gates import Gate
from services.handoff.core.queues import ReadyQueue
from services.handoff.core.rules import DEFAULT_LEAVE, Rule
from services.handoff.core.state import Body, Judged, LeadId, LeadState, ModelState, faults_text
from shared import codec
from shared.clock import from_rfc3339, to_rfc3339
from shared.conditions import compile_block
from shared.errors import InvalidMessage
from shared.events import ACCOUNT_QUALIFIED, OutboxRow, cloud_event_headers
from shared.topics import QUALIFIED_ACCOUNTS

SOURCE = "kizashi/handoff"
NO_QUEUE = ReadyQueue("")


class AccountModelState(Body):
    """An account under one model; `score` None where no contact is scored."""

    version: int = 0
    score: float | None = None
    scores: dict[str, float | None] = Field(default_factory=dict)
    active_contacts: int = 0
    contacts: list[dict[str, Any]] = Field(default_factory=list)


class AccountState(Body):
    """One `account.score-changed.v1`. `version` rises for ever within an account."""

    account_id: LeadId
    version: Annotated[int, Field(ge=1)]
    evaluated_at: Judged
    cause: str = "activity"
    silent: bool | None = None
    name: str | None = None
    domains: list[str] = Field(default_factory=list)
    primary: str | None = None
    models: dict[str, AccountModelState]

    def judged_as(self, model: str) -> LeadState:
        """The state as the judge of crossings takes it; conditions see the account as attributes."""
        under = self.models[model]
        return LeadState(
            lead_id=self.account_id,
            version=self.version,
            evaluated_at=self.evaluated_at,
            cause=self.cause,
            silent=self.silent,
            attributes={"name": self.name, "domains": self.domains, "active_contacts": under.active_contacts},
            models={model: ModelState(version=under.version, score=under.score)},
        )

    def model_of(self, rule: Rule) -> str | None:
        """The model a rule asks for; None where the state lacks it."""
        name = rule.model or self.primary or next(iter(self.models), None)
        return name if name in self.models else None


def parse_account(value: bytes) -> AccountState:
    """A record's value. Raises InvalidMessage naming what is wrong, without quoting it."""
    try:
        return AccountState.model_validate(codec.decode(value, codec.MESSAGE_DEPTH))
    except codec.JsonFault as error:
        raise InvalidMessage(str(error)) from None
    except ValidationError as error:
        raise InvalidMessage(faults_text(error)) from None


def account_rules(entries: Sequence[AccountEntry]) -> tuple[Rule, ...]:
    """Entries of `account_rules` ready to judge with."""
    return tuple(
        Rule(
            id=entry.id,
            enter=entry.enter,
            leave=entry.enter * DEFAULT_LEAVE if entry.leave is None else Fraction(entry.leave),
            cooldown=entry.cooldown,
            close_after=entry.cooldown,
            gate=_gate(entry),
            model=entry.model,
            to=NO_QUEUE,
        )
        for entry in entries
    )


def _gate(entry: AccountEntry) -> Gate:
    require = entry.require
    holds = compile_block(require) if require.conditions() else None

    def passes(account: LeadState, model: ModelState) -> bool:
        if account.attributes["active_contacts"] < require.active_contacts:
            return False
        return holds is None or holds(_Facts(account.attributes, model.score))

    return passes


@dataclass(frozen=True, slots=True)
class _Facts:
    """What conditions on an account may ask about; see `shared.conditions.Scope`."""

    attributes: Mapping[str, Any]
    total: float | None


@dataclass(frozen=True, slots=True)
class AccountMemory:
    """What is remembered of one account: the last judged version, and per rule what came of it."""

    version: int = 0
    last: AccountState | None = None
    rules: Mapping[str, RuleMemory] = field(default_factory=dict)


def judge_account(
    rules: Sequence[Rule], memory: AccountMemory, state: AccountState, *, silent: bool
) -> tuple[AccountMemory, list[OutboxRow]]:
    """Judge the next published state; one that is not newer than the last changes nothing."""
    if state.version <= memory.version:
        return memory, []
    judged, published = dict(memory.rules), []
    for rule in rules:
        before = _up_to_date(rule, memory)
        judged[rule.id], crossing = _judge(rule, before, state, silent=silent)
        if crossing is not None:
            published.append(qualified(rule, state, crossing))
    return AccountMemory(state.version, state, judged), published


def _up_to_date(rule: Rule, memory: AccountMemory) -> RuleMemory:
    """A rule that was not there when the account was last judged takes note of that state first, silently."""
    known = memory.rules.get(rule.id, RuleMemory())
    if memory.last is None or known.version >= memory.version:
        return known
    return _judge(rule, known, memory.last, silent=True)[0]


def _judge(rule: Rule, before: RuleMemory, state: AccountState, *, silent: bool) -> tuple[RuleMemory, Crossing | None]:
    model = state.model_of(rule)
    if model is None:
        return replace(before, version=state.version), None
    as_lead = state.judged_as(model)
    return judge(rule, before, as_lead, closed=True, silent=silent or as_lead.quiet)


def qualified(rule: Rule, state: AccountState, crossing: Crossing) -> OutboxRow:
    """The `qualified-accounts` record of a cycle; its id follows from (account, rule, cycle)."""
    model = state.models[crossing.model]
    body = {
        "account": {"id": state.account_id, "name": state.name, "domains": state.domains},
        "rule": rule.id,
        "cycle": crossing.cycle,
        "score": model.score,
        "scores": model.scores,
        "active_contacts": model.active_contacts,
        "contacts": model.contacts,
        "model": {"name": crossing.model, "version": model.version},
        "threshold": {"enter": rule.enter / 100, "leave": float(rule.leave / 100)},
        "crossed_at": to_rfc3339(crossing.crossed_at),
    }
    headers = cloud_event_headers(
        id_=f"{state.account_id}:{rule.id}:{crossing.cycle}",
        source=SOURCE,
        type_=ACCOUNT_QUALIFIED,
        time=to_rfc3339(crossing.crossed_at),
        key=state.account_id,
    )
    return OutboxRow(QUALIFIED_ACCOUNTS.name, state.account_id.encode(), codec.encode(body), headers)


def pack_memories(rules: Mapping[str, RuleMemory]) -> bytes:
    """Per rule what an account's judging needs again; `unpack_memories` reads it back."""
    return codec.encode(
        {
            name: [one.armed, one.cycle, one.crossed_at and to_rfc3339(one.crossed_at), one.score, one.version, one.hot]
            for name, one in rules.items()
        }
    )


def unpack_memories(packed: bytes) -> dict[str, RuleMemory]:
    """The memories that `pack_memories` gave."""
    return {
        name: RuleMemory(
            armed=armed,
            cycle=cycle,
            crossed_at=crossed_at and from_rfc3339(crossed_at),
            score=score,
            version=version,
            hot=hot,
        )
        for name, (armed, cycle, crossed_at, score, version, hot) in codec.decode(packed).items()
    }


def after_cycle(memory: AccountMemory, rule: str, cycle: int, crossed_at: Any, score: float) -> AccountMemory:
    """The memory of a restored database, once subscribers have seen a later cycle than it knows."""
    known = memory.rules.get(rule, RuleMemory())
    if cycle <= known.cycle:
        return memory
    seen = replace(known, armed=False, cycle=cycle, crossed_at=from_rfc3339(crossed_at), score=round(score * 100))
    return replace(memory, rules={**memory.rules, rule: seen})
