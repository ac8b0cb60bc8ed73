"""Who of a queue gets a lead: the account's owner first, then by language, region, capacity and weight.

The choice follows from its seed, so that it can be made again and explained. Among those who may take the lead it is
weighted rendezvous hashing: each gets a number from seed and name, and the lead goes where that number, against the
weight, is smallest. Source: Schindelhauer and Schomaker, Weighted Distributed Hash Tables, SPAA 2005.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from math import log
from typing import Any

from services.handoff.core.file import Member
from services.handoff.core.queues import ReadyQueue
from services.handoff.core.state import LeadState
from shared.conditions import look_up
from shared.identity import fold_text

_RANGE = 2**64


@dataclass(frozen=True, slots=True)
class Choice:
    """Who was chosen (None: nobody), from which seed, why; `later`: somebody who may be asked may be found on another
    day.
    """

    owner: str | None
    seed: str
    reason: str
    later: bool = False


def choose(
    queue: ReadyQueue,
    lead: LeadState | None,
    taken: Mapping[str, int],
    day: date,
    seed: str,
    *,
    without: Collection[str] = (),
) -> Choice:
    """The member that takes the lead on `day`.

    `taken` is how many each has that day; `without` names who is not asked.
    """
    there = [one for one in queue.members if one.name not in without and not _away(one, day)]
    if not there:
        why = "nobody else is there" if without else "nobody is there"
        later = any(one.name not in without for one in queue.members)
        return Choice(None, seed, why if queue.members else "the queue names no members", later=later)
    account, owner = _account(queue, lead)
    if owner is not None and any(one.name == owner for one in there):
        return Choice(owner, seed, f"owns the account {account}")
    fitting = _fitting(queue, lead, there)
    free = [one for one in fitting if one.capacity_per_day is None or taken.get(one.name, 0) < one.capacity_per_day]
    if not free:
        return Choice(None, seed, f"capacity of {_names(fitting)} is used up on {day.isoformat()}", later=True)
    chosen = min(free, key=lambda one: (_draw(seed, one), one.name))
    why = f"drawn by weight among {_names(free)}" if len(free) > 1 else "the only one free"
    return Choice(chosen.name, seed, f"{why}{_note(owner, account)}")


def _note(owner: str | None, account: str | None) -> str:
    return "" if owner is None else f"; {owner}, who owns the account {account}, is not there"


def _names(members: Sequence[Member]) -> str:
    return ", ".join(one.name for one in members)


def _away(member: Member, day: date) -> bool:
    return any(absence.from_ <= day <= absence.to for absence in member.absences)


def _account(queue: ReadyQueue, lead: LeadState | None) -> tuple[str | None, str | None]:
    """The account that has an owner in this queue, and the owner."""
    if lead is None:
        return None, None
    for account in (look_up(lead.attributes, queue.account), lead.email_domain):
        if isinstance(account, str) and (owner := queue.owners.get(fold_text(account))):
            return account, owner
    return None, None


def _fitting(queue: ReadyQueue, lead: LeadState | None, members: Sequence[Member]) -> Sequence[Member]:
    """Who takes leads of this language and region. Where nobody does, all are asked: a lead is never left lying."""
    if lead is None:
        return members
    language, region = look_up(lead.attributes, queue.language), look_up(lead.attributes, queue.region)
    found = [one for one in members if _takes(one.languages, language) and _takes(one.regions, region)]
    return found or [one for one in members if _takes(one.languages, language)] or members


def _takes(named: Iterable[str], value: Any) -> bool:
    wanted = [fold_text(name) for name in named]
    return not wanted or not isinstance(value, str) or not value or fold_text(value) in wanted


def _draw(seed: str, member: Member) -> float:
    digest = blake2b(f"{seed}\n{member.name}".encode(), digest_size=8).digest()
    return -log((int.from_bytes(digest) + 0.5) / _RANGE) / member.weight
