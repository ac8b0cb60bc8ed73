"""The services' own code agrees with the plain program: on every identifier, on every lead, in every number."""

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from deploy.demo.expectation import ENTER, MODEL, Outcome, score
from deploy.demo.grouping import Group, group, in_order, signs, when
from deploy.demo.plain_model import PlainModel, read_model
from deploy.demo.sample import generate
from services.scoring.offline import Text, score_texts
from shared.activity import parse_posted

Activities = list[dict[str, Any]]
AFTER = datetime(2026, 11, 15, tzinfo=UTC)
OUR_WORDS = {"anonymous": "browser"}


@pytest.fixture(scope="module")
def sample() -> Activities:
    """Every posted activity, in the order of arrival."""
    return list(generate())


@pytest.fixture(scope="module")
def model() -> PlainModel:
    """The shipped model as the plain program reads it."""
    return read_model(MODEL)


@pytest.fixture(scope="module")
def outcomes(sample: Activities, model: PlainModel) -> list[tuple[Group, Outcome]]:
    """Every lead of the sample with its outcome."""
    return [(found, score(found, model)) for found in group(sample)]


def test_ingest_reads_the_same_identifiers(sample: Activities) -> None:
    now = datetime.max.replace(tzinfo=UTC)
    for activity in sample:
        parsed = parse_posted(activity, id_if_absent="", source_if_absent="", received_at=now, region="JP")
        read = [(OUR_WORDS.get(kind, kind), value.replace("\x1f", "\n")) for kind, value in parsed.identifiers]
        assert signs(activity) == read


def test_the_engine_computes_the_same_for_every_lead(sample: Activities, outcomes: list[tuple[Group, Outcome]]) -> None:
    posted = Text("sample", b"\n".join(orjson.dumps(activity) for activity in sample))
    engine: dict[str, list[Any]] = defaultdict(list)
    for scored in score_texts(Text("model", MODEL.read_bytes()), posted, None, AFTER):
        one = scored.evaluation
        reasons = tuple((reason.rule, reason.points, reason.entries) for reason in one.reasons)
        engine[scored.lead].append((one.score, one.engagement, one.fit, one.grade, one.level, one.stage, reasons))
    plain: dict[str, list[Any]] = defaultdict(list)
    for _, mine in outcomes:
        why = tuple((reason.rule, reason.points, reason.count) for reason in mine.reasons)
        # People behind one mailbox are printed by the mailbox alone.
        numbers = (mine.score, mine.engagement, mine.fit, mine.grade, mine.level, mine.stage, why)
        plain[mine.lead.partition(" ")[0]].append(numbers)
    assert {lead: sorted(each, key=repr) for lead, each in engine.items()} == {
        lead: sorted(each, key=repr) for lead, each in plain.items()
    }


def test_no_mail_click_can_be_what_crosses(
    sample: Activities, outcomes: list[tuple[Group, Outcome]], model: PlainModel
) -> None:
    """A crossing by a click waits for the verdict on it; the demo would have to wait too."""
    arrival = {(activity["source"], activity["id"]): place for place, activity in reversed(list(enumerate(sample)))}
    checked = 0
    for found, one in outcomes:
        clicks = [activity for activity in found.activities if activity["type"] == "email_clicked"]
        if one.score < ENTER or not clicks:
            continue
        checked += 1
        last = max(arrival[click["source"], click["id"]] for click in clicks)
        latest = max(map(when, clicks))
        own = signs(clicks[0])[0]
        # What is known by weaker signs comes on other partitions, at any time.
        before = [
            activity
            for activity in in_order(found.activities)
            if arrival[activity["source"], activity["id"]] <= last
            or when(activity) <= latest
            or signs(activity)[0] != own
        ]
        assert score(Group(set(found.signs), before), model).score < ENTER, found.label
    assert checked > 10
