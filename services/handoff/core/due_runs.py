"""Which runs of a rule are to be made now, after a time in which perhaps nobody was there to make them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

from services.handoff.core.lifecycle import Extraction
from services.handoff.core.rules import Rule
from services.handoff.core.schedule import Run

_NAMESPACE = uuid5(NAMESPACE_URL, "https://kizashi.invalid/extraction")
RECORDS, LIST = "records", "list"
RUNNING, COMPLETED, MISSED = "running", "completed", "missed"


def due_runs(rule: Rule, runs: Sequence[Run], now: datetime, late: timedelta) -> list[Extraction]:
    """The runs since the last look, each to be made or noted as missed.

    One that is no later than `late` is punctual. Of those that are later, `run_once` makes the last one, which takes
    everything the others would have taken, unless a punctual one does; `skip` makes none.
    """
    if rule.timetable is None or not runs:
        return []
    punctual = [now - run.at <= late for run in runs]
    if rule.timetable.schedule.missed == "run_once":
        punctual[-1] = True
    found = [_extraction(rule, run, RUNNING if made else MISSED) for run, made in zip(runs, punctual, strict=True)]
    # Two that are due together would take the same leads: the later one takes them all.
    made = [number for number, one in enumerate(found) if one.state == RUNNING]
    return [replace(one, state=MISSED) if number in made[:-1] else one for number, one in enumerate(found)]


def _extraction(rule: Rule, run: Run, state: str) -> Extraction:
    at = run.at.astimezone(UTC)
    return Extraction(extraction_id(rule.id, RECORDS, run.key), rule.id, run.key, RECORDS, rule.to.name, state, at)


def last_run(rule: Rule, latest: datetime, now: datetime) -> Extraction:
    """What a rule that collects no more has collected by `latest`."""
    key = f"{rule.id}/{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    at = max(latest, now)
    return Extraction(extraction_id(rule.id, RECORDS, key), rule.id, key, RECORDS, rule.to.name, RUNNING, at)


def hot_list(rule: Rule, key: str, now: datetime) -> Extraction:
    """A list of who meets the rule now, under a key of the asker's."""
    return Extraction(extraction_id(rule.id, LIST, key), rule.id, key, LIST, rule.to.name, RUNNING, now)


def extraction_id(rule: str, kind: str, key: str) -> str:
    """The same run or list has the same id for ever."""
    return str(uuid5(_NAMESPACE, f"{kind}:{rule}:{key}"))
