"""The demo: a stack of its own, activities over HTTP, and what comes out compared with what had to come out."""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from deploy.demo import dataset, expectation, judging
from deploy.demo.asking import LeadsApi
from deploy.demo.feed import Line, Sent, feed
from deploy.demo.sample import generate, start_for
from deploy.demo.watching import Watcher, read_topic
from deploy.local.paths import ROOT
from deploy.local.report import Report
from deploy.local.services import NAMES, service_env
from deploy.local.stack import Stack, start
from shared.errors import KizashiError
from shared.settings import Settings, load
from shared.topics import LEAD_SCORES, QUALIFIED_LEADS

_WITHOUT_HANDOFF = ("ingest", "scoring")
# However fresh a state is when handoff starts for the first time, it was there before.
_ALL_IS_HISTORY = {"KIZASHI_HANDOFF__FIRST_START_GRACE_S": "0"}
_MOST_ORDERS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Options:
    """What the demo is asked for. `silent`: the activities are history, no lead is handed over for them."""

    data_dir: Path | None
    dataset: Path | None
    silent: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What is fed and what must come of it: `labels` of the leads to be handed over by `rule`."""

    config_dir: Path
    lines: Sequence[Line]
    activities: int
    rule: str
    labels: Sequence[str]
    check: Callable[["Seen"], "list[str]"]
    leads: int
    table: int | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What the stack shows at the end: the records of `qualified-leads`, all leads, and those looked at closely."""

    records: Sequence[dict[str, Any]]
    scores: dict[str, float | None]
    full: dict[str, dict[str, Any] | None]
    states: Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out: `records` as read from `qualified-leads`, and the `differences` from what had to come out.

    `sent` is with repeats, `activities` without; `most` is how many of the records are worth a table. Seconds: `sent_s`
    until ingest had everything, `counted_s` until every score knew of it, `took_s` in all.
    """

    records: Sequence[dict[str, Any]]
    differences: Sequence[str]
    sent: int
    activities: int
    leads: int
    sent_s: float
    counted_s: float
    took_s: float
    most: int | None

    def to_json(self) -> dict[str, Any]:
        """As printed with --json."""
        return {
            "as_expected": not self.differences,
            "differences": list(self.differences),
            "sent": self.sent,
            "activities": self.activities,
            "leads": self.leads,
            "handed_over": len(self.records),
            "sent_s": round(self.sent_s, 3),
            "counted_s": round(self.counted_s, 3),
            "took_s": round(self.took_s, 3),
            "qualified_leads": list(self.records),
        }


def run(options: Options, report: Report) -> Outcome:
    """Run the demo. Raises KizashiError, ConfigError, StartFailed."""
    began = time.monotonic()
    plan = plan_orders(options.dataset) if options.dataset else plan_sample(datetime.now(UTC))
    with _folder(options.data_dir) as folder:
        with _stack(plan, folder, report, NAMES if not options.silent else _WITHOUT_HANDOFF, {}) as stack:
            sent, counted_s = asyncio.run(_feed(plan, stack, report))
            seen = None if options.silent else asyncio.run(_see(plan, stack, report, plan.labels))
        if options.silent:
            # Leads that exist when handoff starts for the first time are taken as known: nobody is told of them.
            with _stack(plan, folder, report, NAMES, _ALL_IS_HISTORY) as stack:
                seen = asyncio.run(_see(plan, stack, report, ()))
    assert seen is not None
    return Outcome(
        records=seen.records,
        differences=_differences(plan, seen, () if options.silent else plan.labels),
        sent=sent.activities,
        activities=plan.activities,
        leads=len(seen.scores),
        sent_s=sent.seconds,
        counted_s=counted_s,
        took_s=time.monotonic() - began,
        most=plan.table,
    )


def plan_sample(now: datetime) -> Plan:
    """The shipped sample under the shipped configuration."""
    expected = expectation.read_expected()
    posted = generate(start=start_for(now))
    return Plan(
        config_dir=ROOT / "config",
        lines=[Line(number, orjson.dumps(activity)) for number, activity in enumerate(posted, 1)],
        activities=expected.activities,
        rule="hot",
        labels=[one.lead for one in expected.qualified],
        check=lambda seen: [
            fault for one in expected.qualified for fault in judging.check_lead(seen.full.get(one.lead), one)
        ],
        leads=expected.leads,
        table=None,
    )


def plan_orders(path: Path) -> Plan:
    """Orders of a file under the model for orders. Raises KizashiError with file and line of a faulty row."""
    orders = list(dataset.read_orders(path))
    totals = dataset.expected_totals(orders)
    return Plan(
        config_dir=dataset.MODEL_DIR,
        lines=[Line(order.row + 1, orjson.dumps(order.as_activity())) for order in orders],
        activities=len(orders),
        rule="regular-customer",
        labels=[f"{dataset.SYSTEM}:{name}" for name, total in totals.items() if total.score >= dataset.ENTER],
        check=lambda seen: (
            judging.check_customers(seen.states, totals, dataset.SYSTEM)
            + judging.check_scores(seen.scores, {f"{dataset.SYSTEM}:{name}": one.score for name, one in totals.items()})
        ),
        leads=len(totals),
        table=_MOST_ORDERS_SHOWN,
    )


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        if (given / "kafka").exists() or (given / "postgres").exists():
            raise KizashiError(f"{given} holds the data of a stack; the demo needs an empty folder")
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="kizashi-demo-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        # PostgreSQL does not run as root; another account must be able to pass through.
        folder.chmod(0o711)
        yield folder


def _stack(plan: Plan, folder: Path, report: Report, services: Sequence[str], env: Mapping[str, str]) -> Stack:
    return start(folder, config_dir=plan.config_dir, services=services, report=report, env=env)


def _settings(stack: Stack) -> Settings:
    env = service_env(os.environ, stack.data, stack.addresses, str(stack.config_dir), 1)
    return load(Settings, env)


async def _feed(plan: Plan, stack: Stack, report: Report) -> tuple[Sent, float]:
    """Send everything; returns what was sent and the seconds until it was counted."""
    key, total = stack.data.cli_key.read_text(encoding="ascii").strip(), len(plan.lines)
    began = time.monotonic()
    with report.part("Activities", "sent", total) as part:
        sent = await feed(
            stack.addresses.services["ingest"], key, plan.lines, on_progress=lambda done: part.advance(done, total)
        )
    async with Watcher(_settings(stack)) as watcher:
        with report.part("Activities", "counted", plan.activities) as part:
            await watcher.until_counted(plan.activities, lambda done: part.advance(done, plan.activities))
    return sent, time.monotonic() - began


async def _see(plan: Plan, stack: Stack, report: Report, expected: Sequence[str]) -> Seen:
    settings = _settings(stack)
    async with Watcher(settings) as watcher:
        with report.part("Leads", "handed over"):
            await watcher.until_handed_over(len(expected))
    with report.part("Leads", "read"):
        records = [value for _, value in await read_topic(settings.kafka, QUALIFIED_LEADS.name)]
        states = dict(await read_topic(settings.kafka, LEAD_SCORES.name))
        key = stack.data.cli_key.read_text(encoding="ascii").strip()
        ids = {judging.label_of(state): state["lead_id"] for state in states.values() if state}
        async with LeadsApi(stack.addresses.services["scoring"], key) as leads:
            scores = {judging.label_of(lead): lead["score"] async for lead in leads.pages()}
            # Of thousands of customers the published states are enough; reasons are asked for where the table is whole.
            wanted = [(label, ids.get(label)) for label in plan.labels] if plan.table is None else []
            full = await leads.full(wanted)
    return Seen(records, scores, full, [state for state in states.values() if state])


def _differences(plan: Plan, seen: Seen, labels: Sequence[str]) -> list[str]:
    found = judging.check_records(seen.records, labels, plan.rule) + plan.check(seen)
    if len(seen.scores) != plan.leads:
        found.append(f"{len(seen.scores):,} leads, expected {plan.leads:,}")
    return found
