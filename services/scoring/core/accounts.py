"""Accounts: which company a lead belongs to, and what the scores of its people make together.

An account goes by an id that a source gave (`attributes.account_id`), else by the domain of its people's addresses,
else by its folded name. Which one is a function of the lead alone, so that no order of arrival changes it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import orjson

from services.scoring.core.evaluation import Evaluation
from services.scoring.core.lead import LeadState, Models
from services.scoring.core.profile import Profile
from services.scoring.core.rules import Accounts
from shared.clock import from_micros, to_micros
from shared.companies import clean_company, fold_company, is_free_mail
from shared.identity import Identifier

BY_ID, BY_DOMAIN, BY_NAME = "account-id", "account-domain", "account-name"
SILENT = frozenset({"model", "repair"})
"""Causes that raise no crossing."""
TOP = 5
METHODS = ("damped", "max", "average", "sum")


@dataclass(slots=True)
class Contact:
    """A lead as its account sees it: `scores` in cents per model (None: excluded), `active_at` its last sign of life.

    `key` names the account, None where the lead tells none. Not frozen, because one is made for every lead of every
    batch; no one writes to it.
    """

    lead_id: str
    key: Identifier | None
    name: str | None
    domain: str | None
    scores: Mapping[str, int | None]
    active_at: datetime | None
    cause: str
    evaluated_at: datetime

    def pack(self) -> bytes:
        """For storage; `unpack` reads it back."""
        active = to_micros(self.active_at) if self.active_at else None
        key = tuple(self.key) if self.key else None
        body = [key, self.name, self.domain, self.scores, active, self.cause, to_micros(self.evaluated_at)]
        return orjson.dumps(body)

    @classmethod
    def unpack(cls, lead_id: str, packed: bytes) -> "Contact":
        """The contact that `pack` gave."""
        key, name, domain, scores, active, cause, at = orjson.loads(packed)
        return cls(
            lead_id,
            Identifier(*key) if key else None,
            name,
            domain,
            scores,
            None if active is None else from_micros(active),
            cause,
            from_micros(at),
        )


def contact_of(
    lead_id: str, state: LeadState, models: Models, evaluations: Mapping[str, Evaluation], cause: str, at: datetime
) -> Contact:
    """What the account has to know of a lead, whether or not it tells one."""
    profile, primary = state.profile, models.primary
    rules, name = primary.compiled.model.accounts, profile.attributes.get("company")
    domain, active = company_domain(profile, rules), state.folds[primary.name][1].last_active
    return Contact(
        lead_id,
        _key(profile, rules, domain),
        clean_company(name) or None if isinstance(name, str) else None,
        domain,
        {model: evaluation.score for model, evaluation in evaluations.items()},
        None if active is None else from_micros(active),
        cause,
        at,
    )


def account_key(profile: Profile, rules: Accounts) -> Identifier | None:
    """What names the lead's account, by the first of `rules.by` that it tells; None where it tells none."""
    return _key(profile, rules, company_domain(profile, rules))


def _key(profile: Profile, rules: Accounts, domain: str | None) -> Identifier | None:
    for by in rules.by:
        if by == "id":
            given = profile.attributes.get("account_id")
            if isinstance(given, (str, int)) and not isinstance(given, bool) and str(given).strip():
                return Identifier(BY_ID, str(given).strip())
        elif by == "domain":
            if domain is not None:
                return Identifier(BY_DOMAIN, domain)
        else:
            company = profile.attributes.get("company")
            if isinstance(company, str) and (folded := fold_company(company)):
                return Identifier(BY_NAME, folded)
    return None


def company_domain(profile: Profile, rules: Accounts) -> str | None:
    """The domain of the lead's address, None where anybody can have one like it."""
    domain = profile.email_domain
    return None if domain is None or domain in rules.ignore_domains or is_free_mail(domain) else domain


@dataclass(frozen=True, slots=True)
class AccountScore:
    """An account under one model: `score` by the model's method, all methods in `scores`, in cents; None where no
    contact is scored. `top` are the best contacts, best first.
    """

    score: int | None
    scores: Mapping[str, int | None]
    active_contacts: int
    top: tuple[tuple[str, int], ...]


def account_score(contacts: Iterable[Contact], model: str, rules: Accounts, at: datetime) -> AccountScore:
    """What the contacts' scores make together. Exact, rounded half-even to the cent once."""
    scored = [
        (one.lead_id, score, is_active(one, rules, at))
        for one in contacts
        if (score := one.scores.get(model)) is not None
    ]
    scored.sort(key=lambda item: (-item[1], item[0]))
    values = [score for _, score, _ in scored]
    active = [score for _, score, is_on in scored if is_on]
    scores: dict[str, int | None] = dict.fromkeys(METHODS)
    if values:
        # Each counts half of the one before it: in sixteenths, so that one rounding is all.
        damped = Fraction(sum(value << (TOP - 1 - place) for place, value in enumerate(values[:TOP])), 1 << (TOP - 1))
        average = Fraction(sum(active), len(active)) if active else Fraction()
        scores = {"damped": round(damped), "max": values[0], "average": round(average), "sum": sum(values)}
    top = tuple((lead_id, score) for lead_id, score, _ in scored[:TOP])
    return AccountScore(scores[rules.score], scores, len(active), top)


def is_active(contact: Contact, rules: Accounts, at: datetime) -> bool:
    """Whether the contact gave a sign of life lately."""
    return contact.active_at is not None and at - contact.active_at < rules.active_within


def next_inactive(contacts: Iterable[Contact], windows: Sequence[timedelta], at: datetime) -> datetime | None:
    """When the next contact stops being active."""
    ends = [one.active_at + window for one in contacts if one.active_at for window in windows]
    return min((end for end in ends if end > at), default=None)


@dataclass(frozen=True, slots=True)
class Account:
    """What an account is called; a function of the set of its contacts."""

    name: str | None
    domains: tuple[str, ...]
    given_id: str | None

    @property
    def search_text(self) -> str:
        """What a search looks through."""
        parts = [self.name, fold_company(self.name) if self.name else None, *self.domains, self.given_id]
        return " ".join(part for part in parts if part).casefold()


def describe(contacts: Sequence[Contact]) -> Account:
    """The name most contacts give, whatever its legal form; of its spellings the commonest."""
    names = [one.name for one in contacts if one.name]
    folded = Counter(map(fold_company, names))
    best = min(folded, key=lambda name: (-folded[name], name), default=None)
    spellings = Counter(name for name in names if fold_company(name) == best)
    given = next((one.key.value for one in contacts if one.key and one.key.kind == BY_ID), None)
    return Account(
        name=min(spellings, key=lambda name: (-spellings[name], name), default=None),
        domains=tuple(sorted({one.domain for one in contacts if one.domain})),
        given_id=given,
    )


def cause_of(changed: Iterable[Contact]) -> str:
    """The first cause that may raise a crossing, else a silent one; `time` where no contact changed."""
    causes = [one.cause for one in changed]
    return next((cause for cause in causes if cause not in SILENT), causes[0] if causes else "time")


def account_state(account: Account, contacts: Sequence[Contact], models: Models, at: datetime) -> dict[str, Any]:
    """What is published of an account beside its id, version, cause and instant."""
    return {
        "name": account.name,
        "domains": list(account.domains),
        "primary": models.primary.name,
        "models": {
            model.name: {
                "version": model.version,
                **score_out(account_score(contacts, model.name, model.compiled.model.accounts, at)),
            }
            for model in models.live
        },
    }


def score_out(scored: AccountScore) -> dict[str, Any]:
    """As events and answers carry it, in points."""
    return {
        "score": _points(scored.score),
        "scores": {method: _points(cents) for method, cents in scored.scores.items()},
        "active_contacts": scored.active_contacts,
        "contacts": [{"lead_id": lead_id, "score": cents / 100} for lead_id, cents in scored.top],
    }


def _points(cents: int | None) -> float | None:
    return None if cents is None else cents / 100
