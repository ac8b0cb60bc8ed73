"""Is what came out what had to come out? Pure comparisons; each answers with the differences in words."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from deploy.demo.dataset import ORDER, Total
from deploy.demo.expectation import Outcome, Reason
from deploy.demo.grouping import SHARED, folded

ENTER = 50


def cents(points: float) -> int:
    """Points with two decimals as whole cents."""
    return round(points * 100)


def label_of(lead: Mapping[str, Any]) -> str:
    """The strongest identifier of a lead as published: its address, `system:id`, phone; a shared mailbox with name."""
    known, attributes = lead["identifiers"], lead.get("attributes") or {}
    email = known.get("email")
    if email and email.partition("@")[0] not in SHARED:
        return str(email)
    for system, value in sorted((known.get("external_ids") or {}).items()):
        return f"{system}:{value}"
    if known.get("phone"):
        return str(known["phone"])
    if email:
        return f"{email} {''.join(folded(str(attributes.get('name', ''))).split())}"
    return str(next(iter(known.get("anonymous_ids") or [""])))


def check_records(records: Sequence[Mapping[str, Any]], expected: Iterable[str], rule: str) -> list[str]:
    """Whether `qualified-leads` holds exactly one sound record for each expected lead and none else."""
    wanted = set(expected)
    counts = Counter(label_of(record["lead"]) for record in records)
    found = [f"{lead}: should have been handed over, but was not" for lead in sorted(wanted - counts.keys())]
    found += [f"{lead}: should not have been handed over" for lead in sorted(counts.keys() - wanted)]
    found += [f"{lead}: handed over {count} times" for lead, count in sorted(counts.items()) if count > 1]
    for record in records:
        found += [f"{label_of(record['lead'])}: its record has {fault}" for fault in _faults(record, rule)]
    return found


def _faults(record: Mapping[str, Any], rule: str) -> list[str]:
    summed = sum(cents(reason["points"]) for reason in record["reasons"])
    checks = {
        f"rule {record['rule']}, expected {rule}": record["rule"] == rule,
        f"cycle {record['cycle']}, expected 1": record["cycle"] == 1,
        f"score {record['score']}, expected at least {ENTER}": record["score"] >= ENTER,
        f"reasons worth {summed / 100}, but score {record['score']}": summed == cents(record["score"]),
    }
    return [fault for fault, fine in checks.items() if not fine]


def check_lead(lead: Mapping[str, Any] | None, expected: Outcome) -> list[str]:
    """Whether a lead as the API shows it at the end is the expected one, in every number and reason."""
    if lead is None:
        return [f"{expected.lead}: the API does not know this lead"]
    shown = Outcome(
        lead=label_of(lead),
        score=cents(lead["score"]),
        engagement=cents(lead["engagement"]),
        fit=cents(lead["fit"]),
        grade=lead["grade"],
        level=lead["level"],
        stage=lead["stage"],
        reasons=tuple(Reason(one["rule"], cents(one["points"]), one["count"]) for one in lead["reasons"]),
    )
    fields = ("lead", "score", "engagement", "fit", "grade", "level", "stage", "reasons")
    pairs = {name: (_shown(getattr(expected, name)), _shown(getattr(shown, name))) for name in fields}
    return [f"{expected.lead}: {name} is {is_}, expected {want}" for name, (want, is_) in pairs.items() if want != is_]


def check_customers(states: Iterable[Mapping[str, Any]], expected: Mapping[str, Total], system: str) -> list[str]:
    """Whether every customer's last published state counts all its orders, and no one else has one."""
    found: list[str] = []
    seen: set[str] = set()
    for state in states:
        customer = state["identifiers"]["external_ids"].get(system, "")
        total, model = expected.get(customer), next(iter(state["models"].values()))
        seen.add(customer)
        orders = sum(reason["count"] for reason in model["reasons"] if reason["rule"] == ORDER)
        got = Total(orders, cents(model["score"]))
        if got != total:
            found.append(f"{system}:{customer}: {_total(got)}, expected {_total(total)}")
    return found + [f"{system}:{customer}: was not scored" for customer in sorted(expected.keys() - seen)]


def _total(total: Total | None) -> str:
    return f"{total.orders} orders worth {total.score / 100:.2f} points" if total else "no such customer"


def _shown(value: Any) -> Any:
    if isinstance(value, tuple):
        return ", ".join(f"{one.rule} {one.points / 100:g} ({one.count})" for one in value)
    return value / 100 if isinstance(value, int) else value


def check_scores(shown: Mapping[str, float | None], expected: Mapping[str, int]) -> list[str]:
    """Whether the API shows every lead with the expected score (in cents)."""
    wrong = {label: shown.get(label) for label, score in expected.items() if shown.get(label) != score / 100}
    return [f"{label}: the API shows {is_}, expected {expected[label] / 100:.2f}" for label, is_ in wrong.items()]
