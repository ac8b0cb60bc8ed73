"""Services and servers are killed while a month of activities comes in; afterwards everything is exact."""

import asyncio
import random
import threading
import time
from collections import Counter, defaultdict
from functools import partial
from typing import Any

import orjson
import pytest

from deploy.chaos.people import own
from deploy.demo.expectation import ENTER, MODEL, Outcome, score
from deploy.demo.feed import Line, feed
from deploy.demo.grouping import group, in_order
from deploy.demo.plain_model import read_model
from deploy.demo.sample import generate
from deploy.local.stack import Stack
from tests.e2e.client import Client, reasons_sum, wait_for
from tests.e2e.faults import kill

LEADS = 150
SCORED_WITHIN_S = 90.0


@pytest.mark.parametrize("victims", [("scoring", "handoff"), ("kafka", "postgres", "scoring")])
def test_kills_in_the_middle_of_the_feed(stack: Stack, client: Client, victims: tuple[str, ...]) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print("seed", seed)
    dice, mark = random.Random(seed), f"k{seed}"
    posted = [own(activity, seed) for activity in generate(seed=seed, leads=LEADS, companies=20)]
    done = threading.Event()

    def disturb() -> None:
        while not done.is_set():
            kill(stack, dice.choice(victims))
            done.wait(dice.uniform(1.0, 2.5))

    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        key = (stack.data.path / "secrets" / "cli_key").read_text(encoding="utf-8").strip()
        lines = [Line(number, orjson.dumps(activity)) for number, activity in enumerate(posted, 1)]
        for start in range(0, len(lines), 400):
            asyncio.run(feed(stack.addresses.services["ingest"], key, lines[start : start + 400]))
            time.sleep(0.2)
    finally:
        done.set()
        disturber.join()
    assert_exact(client, posted, mark)


def assert_exact(client: Client, posted: list[dict[str, Any]], mark: str) -> None:
    """Scores, qualified leads and versions are those of a plain program that only knows what was posted."""
    outcomes = [score(found, read_model(MODEL)) for found in group(in_order(posted))]
    here = [outcome for outcome in outcomes if f"@{mark}." in outcome.lead]
    # Those behind a shared mailbox, whose name holds a space, have no address of their own to ask for.
    named = [outcome for outcome in here if " " not in outcome.lead]
    different = partial(unlike, client, named)
    wait_for(lambda: not different(), SCORED_WITHIN_S, different)

    hot = Counter(outcome.lead.partition(" ")[0] for outcome in here if outcome.score >= ENTER)
    assert hot, "the sample has leads that cross the threshold"

    def records() -> list[dict[str, Any]]:
        values = client.read("qualified-leads")
        return [value for value in values if mark in str(value["lead"]["identifiers"]["email"])]

    wait_for(lambda: len(records()) >= hot.total(), SCORED_WITHIN_S)
    found = records()
    assert Counter(value["lead"]["identifiers"]["email"] for value in found) == hot
    assert all(value["cycle"] == 1 and reasons_sum(value) == value["score"] >= 50 for value in found)

    versions: dict[str, list[int]] = defaultdict(list)
    for value in client.read("lead-scores"):
        versions[value["lead_id"]].append(value["version"])
    assert all(seen == sorted(set(seen)) for seen in versions.values())


def unlike(client: Client, outcomes: list[Outcome]) -> list[tuple[Outcome, Any]]:
    """What was expected beside what is read, where the two differ."""
    return [(outcome, client.lead(outcome.lead)) for outcome in outcomes if not is_as_expected(client, outcome)]


def is_as_expected(client: Client, outcome: Outcome) -> bool:
    """Whether the lead reads as the plain program says, reason by reason."""
    lead = client.lead(outcome.lead)
    return (
        lead is not None
        and round(lead["score"] * 100) == outcome.score
        and (lead["grade"], lead["level"], lead["stage"]) == (outcome.grade, outcome.level, outcome.stage)
        and [(reason["rule"], round(reason["points"] * 100), reason["count"]) for reason in lead["reasons"]]
        == [(reason.rule, reason.points, reason.count) for reason in outcome.reasons]
    )
