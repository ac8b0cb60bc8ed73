"""Previews and backtests over what is stored, on a real PostgreSQL and a real Kafka."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import orjson
import pytest
from aiokafka import AIOKafkaProducer

from services.scoring.judging import BacktestQuestion, backtest_stored, preview
from services.scoring.judging_views import BacktestView, PreviewView
from services.scoring.outcomes import Outcome, one_per_lead, topic_outcomes
from shared.clock import to_rfc3339
from shared.errors import KizashiError
from shared.identity import EMAIL
from shared.kafka.admin import ensure_topics
from shared.settings import KafkaSettings
from shared.topics import HANDOFF_OUTCOMES
from tests.conftest import PARTITIONS, KafkaServer
from tests.integration.scoring.desk import NOW, Desk, lead_of
from tests.integration.scoring.model_desk import TREE, open_api, worth
from tests.integration.scoring.test_entries import give

# Each lead downloads as many documents as its number says, one a day, the last one yesterday.
PEOPLE = [f"p{number}@example.co.jp" for number in range(1, 9)]


@pytest.fixture
async def filled(desk: Desk) -> Desk:
    for number, email in enumerate(PEOPLE, 1):
        for day in range(1, number + 1):
            await desk.receive(
                {
                    "id": f"{email}-{day}",
                    "type": "document_downloaded",
                    "occurred_at": to_rfc3339(NOW - timedelta(days=day)),
                    "lead": {"email": email},
                    "attributes": {"name": f"人 {number}", "company": "株式会社サンプル"},
                    "properties": {"document": f"d{day}"},
                }
            )
    return desk


@pytest.fixture
async def api(filled: Desk) -> AsyncIterator[httpx2.AsyncClient]:
    async with open_api(filled) as client:
        yield client


async def test_a_preview_says_who_qualifies_and_who_drops_out(api: httpx2.AsyncClient) -> None:
    made = await api.post("/v1/models", json=worth(10))
    found = await api.post(f"{made.headers['Location']}/preview", json={"threshold": 30})
    assert found.status_code == 200, found.text
    answer = found.json()
    PreviewView.model_validate(answer)
    # 5 a document: leads 6, 7, 8 have 30 or more; 10 a document: from lead 3 on.
    assert (answer["leads"], answer["at_or_above"]) == (8, {"before": 3, "after": 6})
    assert [lead["email"] for lead in answer["qualify"]["leads"]] == [PEOPLE[4], PEOPLE[3], PEOPLE[2]]
    assert answer["qualify"]["leads"][0]["name"] == "人 5"
    assert (answer["qualify"]["count"], answer["drop_out"]["count"]) == (3, 0)
    assert sum(band["before"] for band in answer["distribution"]) == 8
    assert {"what": "level", "from": "4", "to": "3", "leads": 2} in answer["moves"]
    back = await api.get("/v1/models/test/compare", params={"from": 2, "to": 1, "threshold": 30})
    assert (back.json()["qualify"]["count"], back.json()["drop_out"]["count"]) == (0, 3)
    assert (await api.get("/v1/models/test/compare", params={"from": 1, "to": 9})).status_code == 404
    assert (await api.post(f"{made.headers['Location']}/preview", json={"treshold": 1})).status_code == 422


async def test_a_lead_is_scored_as_of_the_moment_before_its_outcome(filled: Desk) -> None:
    # The last but one: eight documents, of which five were downloaded before the outcome.
    outcomes = [
        Outcome(PEOPLE[7], NOW - timedelta(days=3), converted=True),
        Outcome(lead_of(EMAIL, PEOPLE[1]), NOW, converted=False),
        Outcome("nobody@example.co.jp", NOW, converted=True),
    ]
    found = await ask(filled, outcomes, BacktestQuestion(2_500, split=0.0, per_week=1))
    assert [(band.low, band.share.hits, band.share.of) for band in found.bands if band.share.of] == [
        (1000, 0, 1),
        (2000, 1, 1),
    ]
    body = found.to_json()
    assert (body["judged"]["precision"]["of"], body["judged"]["recall"]["hits"]) == (1, 1)
    assert "too few: 1 converted and 1 not" in body["judged"]["too_few"]
    earlier = await ask(filled, outcomes, BacktestQuestion(2_500, split=0.0, before=timedelta(days=2)))
    assert [band.low for band in earlier.bands if band.share.of] == [0, 1000]
    with pytest.raises(KizashiError, match="no outcome is about a lead"):
        await ask(filled, outcomes[2:], BacktestQuestion(2_500))


async def ask(desk: Desk, outcomes: list[Outcome], question: BacktestQuestion) -> Any:
    return await backtest_stored(desk.settings.database, TREE, outcomes, question, lambda *_: None, 1)


async def test_other_processes_find_the_same(filled: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = [Outcome(email, NOW, converted=number % 2 == 0) for number, email in enumerate(PEOPLE)]
    question = BacktestQuestion(2_500, split=0.0, per_week=2)
    here = await ask(filled, outcomes, question)
    monkeypatch.setattr("services.scoring.sharding.FEW", 0)
    seen: list[tuple[int, int]] = []
    there = await backtest_stored(
        filled.settings.database, TREE, outcomes, question, lambda *done: seen.append(done), 2
    )
    assert there.to_json() == here.to_json()
    assert seen[-1] == (64, 64)


async def test_outcomes_are_read_from_their_topic(
    filled: Desk, api: httpx2.AsyncClient, kafka_server: KafkaServer
) -> None:
    kafka = KafkaSettings(bootstrap_servers=kafka_server.bootstrap_servers, partitions=PARTITIONS)
    await ensure_topics(kafka)
    lead, other = lead_of(EMAIL, PEOPLE[0]), lead_of(EMAIL, PEOPLE[1])
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    await producer.start()
    for lead_id, outcome, days in (
        (lead, "accepted", 9), (lead, "recycled", 8), (lead, "converted", 2), (lead, "lost", 1), (other, "expired", 1),
        (other, "rejected", 3),
    ):  # fmt: skip
        body = {"lead_id": lead_id, "outcome": outcome, "at": to_rfc3339(NOW - timedelta(days=days))}
        await producer.send_and_wait(HANDOFF_OUTCOMES.name, orjson.dumps(body), key=lead_id.encode())
    await producer.send_and_wait(HANDOFF_OUTCOMES.name, b"not one of ours", key=b"k")
    await producer.stop()
    ours = [one for one in await topic_outcomes(kafka) if one.lead in (lead, other)]
    assert one_per_lead(ours) == {
        lead: Outcome(lead, NOW - timedelta(days=2), converted=True),
        other: Outcome(other, NOW - timedelta(days=3), converted=False),
    }
    state = api._transport.app.state  # type: ignore[attr-defined]
    state.settings = state.settings.model_copy(update={"kafka": kafka})
    answer = await api.post("/v1/models/test/1/backtest", json={"threshold": 5, "split": 0})
    assert answer.status_code == 200, answer.text
    BacktestView.model_validate(answer.json())
    assert answer.json()["judged"]["converted"] == 1
    assert (await api.post("/v1/models/test/1/backtest", json={"before": "soon"})).status_code == 422


async def test_points_given_by_hand_count_from_when_they_were_given(filled: Desk) -> None:
    lead_id = lead_of(EMAIL, PEOPLE[1])
    given = await give(filled, lead_id)
    assert given.is_success, given.text
    found = await preview(filled.settings.database, TREE, TREE, NOW, 2_500, lambda *_: None, 1)
    # Ten points by its two documents, fifteen by hand: at 25 it stands with those of five documents and more.
    assert found.above["after"] == 5
    for at, low in ((NOW, 1_000), (NOW + timedelta(seconds=1), 2_000)):
        judged = await ask(filled, [Outcome(lead_id, at, converted=True)], BacktestQuestion(2_500, split=0.0))
        assert [band.low for band in judged.bands] == [low]


async def test_a_draft_may_ask_for_consent_and_say_what_recycling_leaves(filled: Desk) -> None:
    """One of eight documents agrees from its fifth on; another was sent back before its last two documents."""
    agreed, returned = lead_of(EMAIL, PEOPLE[7]), lead_of(EMAIL, PEOPLE[6])
    await filled.receive(
        {
            "id": "yes",
            "type": "profile_updated",
            "occurred_at": to_rfc3339(NOW - timedelta(days=4)),
            "lead": {"email": PEOPLE[7]},
            "consent": {"profiling": True},
        }
    )
    await filled.return_lead(returned, days=2.5)
    asking, resetting = TREE | {"consent": {"profiling": "required"}}, TREE | {"recycle": "reset"}

    async def above(tree: dict[str, Any], threshold: int) -> int:
        found = await preview(filled.settings.database, TREE, tree, NOW, threshold, lambda *_: None, 1)
        return found.above["after"]

    assert [await above(asking, points) for points in (2_500, 2_000, 100)] == [0, 1, 1]
    assert [await above(TREE, 3_500), await above(resetting, 3_500), await above(resetting, 1_000)] == [2, 1, 7]
    outcomes = [Outcome(agreed, NOW, converted=True), Outcome(returned, NOW, converted=False)]
    for tree, lows in ((asking, [0, 2_000]), (resetting, [1_000, 4_000])):
        judged = await backtest_stored(
            filled.settings.database, tree, outcomes, BacktestQuestion(2_500, split=0.0), lambda *_: None, 1
        )
        assert [band.low for band in judged.bands if band.share.of] == lows
