"""Batches of activities become scores exactly once, on a real PostgreSQL."""

import random
from collections import defaultdict
from datetime import timedelta
from typing import Any

import orjson
import pytest

from services.scoring.core.engine import fold_all
from services.scoring.core.evaluate import evaluate
from services.scoring.core.resolution import resolve_leads
from shared.activity import SILENT, Activity, to_record
from shared.clock import to_rfc3339
from shared.identity import EMAIL
from shared.offsets import Fenced
from tests.integration.scoring.desk import NOW, Desk, activity, gather, id_for, lead_of

TARO = lead_of(EMAIL, "taro@example.co.jp")


def download(id_: str, document: str = "d1", **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "type": "document_downloaded",
        "occurred_at": to_rfc3339(NOW - timedelta(days=3)),
        "lead": {"email": "taro@example.co.jp"},
        "properties": {"document": document},
        **more,
    }


def at(days: float) -> str:
    return to_rfc3339(NOW - timedelta(days=days))


async def test_a_batch_handled_again_changes_nothing(desk: Desk) -> None:
    batch = await desk.of([activity(download("a1")), activity(download("a2", "d2"))])
    await desk.handler().handle(batch)
    with pytest.raises(Fenced):
        await desk.handler().handle(batch)
    assert await desk.score_of(TARO) == 10
    assert len(await desk.published()) == 1


async def test_the_same_activity_in_another_batch_counts_once(desk: Desk) -> None:
    await desk.receive(download("a1"), download("a1"))
    await desk.receive(download("a1"))
    assert await desk.score_of(TARO) == 5
    assert [value["version"] for _, value in await desk.published() if value] == [1]


async def test_one_that_comes_after_ten_later_ones_is_told_once_and_a_change_of_another_kind_tells_none(
    desk: Desk,
) -> None:
    await desk.receive(*(download(f"v{number}", occurred_at=at(3 - number / 100)) for number in range(12)))
    await desk.receive({**download("wanted"), "type": "demo_requested", "occurred_at": at(4)})
    await desk.receive({**download("wanted"), "type": "demo_requested", "occurred_at": at(4)})
    await desk.receive(download("last", occurred_at=at(1)))
    async with desk.http() as http:
        await http.post(f"/v1/leads/{TARO}/points", json={"points": 3, "reason": "met"})
    told = [value.get("late_activities") for _, value in await desk.published() if value]
    late = {"id": "wanted", "source": "api", "type": "demo_requested", "occurred_at": at(4)}
    first = [
        {**late, "id": f"v{number}", "type": "document_downloaded", "occurred_at": at(3 - number / 100)}
        for number in (1, 0)
    ]
    assert told == [first, [late], None, None]
    states = [value for _, value in await desk.published() if value]
    assert all("wanted" not in {one["id"] for one in state["recent_activities"]} for state in states)


async def test_of_leads_that_merge_only_what_is_new_is_told(desk: Desk) -> None:
    def view(id_: str, days: float, **lead: str) -> dict[str, Any]:
        return {**download(id_), "type": "page_viewed", "occurred_at": at(days), "lead": lead}

    await desk.receive(*(view(f"b{number}", 9 + number, anonymous_id="b1") for number in range(3)))
    await desk.receive(*(view(f"t{number}", 2 + number / 100, email="taro@example.co.jp") for number in range(11)))
    await desk.receive(view("both", 5, email="taro@example.co.jp", anonymous_id="b1"))
    _, state = [pair for pair in await desk.published() if pair[1]][-1]
    assert state is not None
    assert state["merged_from"]
    assert [one["id"] for one in state["late_activities"]] == ["both"]


async def test_another_body_under_a_known_id_leaves_the_first(desk: Desk) -> None:
    await desk.receive(download("a1", "d1"))
    await desk.receive(download("a1", "d2"), download("a2", "d2"))
    assert await desk.score_of(TARO) == 10
    bodies = await desk.pool.fetch("SELECT body->'properties'->>'document' FROM scoring.activity ORDER BY id")
    assert [row[0] for row in bodies] == ["d1", "d2"]


async def test_a_late_activity_is_folded_in_its_place(desk: Desk) -> None:
    for day in (3, 2, 1):
        await desk.receive({**download(f"v{day}"), "type": "page_viewed", "occurred_at": at(day)})
    before = await desk.score_of(TARO)
    await desk.receive({**download("v9"), "type": "page_viewed", "occurred_at": at(9)})
    assert (before, await desk.score_of(TARO)) == (6, 7)


async def test_an_attribute_that_rules_ask_about_is_seen_by_earlier_activities(desk: Desk) -> None:
    await desk.receive({**download("c1"), "type": "email_clicked"})
    assert await desk.score_of(TARO) == 0
    await desk.receive({**download("p1"), "type": "profile_updated", "attributes": {"job_title": "製造部 課長"}})
    assert await desk.score_of(TARO) == 17


async def test_the_older_of_two_known_leads_survives_and_what_is_told_late_can_make_it_the_other(desk: Desk) -> None:
    known, address = {"external_ids": {"crm": "7"}}, {"email": "taro@example.co.jp"}
    crm = lead_of("external", "crm:7")
    await desk.receive(download("c1", occurred_at=at(5), lead=known))
    await desk.receive(download("c2", "d2", occurred_at=at(4), lead=address))
    await desk.receive(download("c3", "d3", occurred_at=at(3), lead={**known, **address}))
    assert await desk.resolve(TARO) == crm
    assert await desk.score_of(crm) == 15
    await desk.receive(download("c4", "d4", occurred_at=at(6), lead=address))
    assert await desk.resolve(crm) == TARO
    assert await desk.score_of(TARO) == 20
    await desk.receive(download("c5", "d5", occurred_at=at(7), lead=known))
    assert await desk.resolve(TARO) == crm
    told = [
        (key, value and (value["version"], value["cause"], value["merged_from"]))
        for key, value in await desk.published()
    ]
    assert told == [
        (crm, (1, "activity", [])),
        (TARO, (1, "activity", [])),
        (crm, (2, "merge", [TARO])),
        (TARO, None),
        (TARO, (2, "merge", [crm])),
        (crm, None),
        (crm, (3, "merge", [TARO])),
        (TARO, None),
    ]


async def test_a_person_whose_leads_name_turns_out_to_be_anothers_is_told_as_taken_out(desk: Desk) -> None:
    crm, named = {"external_ids": {"crm": "7"}}, lead_of("external", "crm:7")
    taro, jiro = {"email": "taro@example.co.jp"}, {"email": "jiro@example.co.jp"}
    await desk.receive(download("c1", occurred_at=at(5), lead=crm))
    await desk.receive(download("c2", "d2", occurred_at=at(3), lead={**crm, **taro}))
    assert await desk.score_of(named) == 10
    await desk.receive(download("c3", "d3", occurred_at=at(4), lead={**crm, **jiro}))
    assert (await desk.score_of(named), await desk.score_of(TARO)) == (10, 5)
    told = [
        (key, value and (value["merged_from"], value.get("unmerged_from"))) for key, value in await desk.published()
    ]
    assert told[2:] == [(named, ([], None)), (TARO, ([], named))]


async def test_an_anonymous_history_moves_to_the_lead_it_identifies(desk: Desk) -> None:
    browser = lead_of("anonymous", "b1")
    await desk.receive({**download("a1"), "lead": {"anonymous_id": "b1"}})
    await desk.receive({**download("a2"), "lead": {"email": "taro@example.co.jp", "anonymous_id": "b1"}})
    # Both downloaded the same document, which pays once: the union is folded, not added up.
    assert await desk.score_of(TARO) == 5
    assert await desk.resolve(browser) == TARO
    published = await desk.published()
    assert [key for key, _ in published] == [browser, TARO, browser]
    assert published[1][1]
    assert published[1][1]["merged_from"] == [browser]
    assert published[1][1]["cause"] == "merge"
    assert published[2][1] is None
    assert [key for key, _ in await desk.published("lead-lifecycle")] == [TARO]


async def test_two_emails_never_become_one(desk: Desk) -> None:
    hanako = {"email": "hanako@example.co.jp", "phone": "090-1234-5678"}
    await desk.receive({**download("a1"), "lead": {"email": "taro@example.co.jp", "phone": "090-1234-5678"}})
    await desk.receive({**download("a2"), "lead": hanako, "occurred_at": at(1)})
    await desk.receive({**download("a3", "d3"), "lead": {"phone": "090-1234-5678"}, "occurred_at": at(0.5)})
    assert await desk.score_of(TARO) == 10
    assert await desk.score_of(lead_of(EMAIL, "hanako@example.co.jp")) == 5


async def test_a_shared_browser_moves_when_an_earlier_activity_arrives_late(desk: Desk) -> None:
    hanako = lead_of(EMAIL, "hanako@example.co.jp")
    await desk.receive({**download("a1"), "lead": {"email": "taro@example.co.jp", "anonymous_id": "b"}})
    await desk.receive({**download("a2", "d2"), "lead": {"anonymous_id": "b"}})
    await desk.receive(
        {**download("a0", "d0"), "lead": {"email": "hanako@example.co.jp", "anonymous_id": "b"}, "occurred_at": at(9)}
    )
    assert (await desk.score_of(TARO), await desk.score_of(hanako)) == (5, 10)


async def test_a_shared_mailbox_names_no_one_but_keeps_people_apart(desk: Desk) -> None:
    for number, name in enumerate(["山田 太郎", "山田　太郎", "佐藤 花子"]):
        await desk.receive(
            {
                **download(f"m{number}", f"d{number}"),
                "lead": {"email": "info@example.co.jp"},
                "attributes": {"name": name},
            }
        )
    states = await desk.states()
    assert sorted(state.profile.count for state in states.values()) == [1, 2]
    assert {state.profile.email for state in states.values()} == {"info@example.co.jp"}


async def test_unreadable_records_become_dead_letters_and_the_rest_is_scored(desk: Desk) -> None:
    good = orjson.dumps(to_record(activity(download("a1"))))
    poison = [
        b"no json",
        b"[]",
        b'{"id": "x"}',
        None,
        good.replace(b"d1", b"\\u0000"),
        good.replace(b"2026-", b"0026-"),
    ]
    await desk.handler().handle(await desk.batch([(0, value) for value in [*poison, good]]))
    assert await desk.score_of(TARO) == 5
    letters = await desk.pool.fetch("SELECT value FROM scoring.outbox WHERE topic = 'lead-activities-dlq' ORDER BY id")
    assert [row[0] for row in letters] == poison


async def test_a_record_the_database_refuses_is_found_by_halving(desk: Desk) -> None:
    await desk.pool.execute("ALTER TABLE scoring.activity ADD CONSTRAINT refuse CHECK (id <> 'bad')")
    batch = [download(f"a{number}", f"d{number}") for number in range(4)]
    await desk.receive(*batch[:2], download("bad", "dx"), *batch[2:])
    assert await desk.score_of(TARO) == 20
    letters = await desk.pool.fetch("SELECT value FROM scoring.outbox WHERE topic = 'lead-activities-dlq'")
    assert [orjson.loads(row[0])["id"] for row in letters] == ["bad"]


async def test_an_activity_dated_ahead_counts_when_its_time_has_come(desk: Desk) -> None:
    await desk.receive(download("a1"), {**download("a2", "d2"), "occurred_at": to_rfc3339(NOW + timedelta(minutes=2))})
    assert await desk.score_of(TARO) == 5
    assert await desk.pool.fetchval("SELECT at FROM scoring.due") == NOW + timedelta(minutes=2)
    desk.now = NOW + timedelta(minutes=3)
    await desk.receive(download("a3", "d3"))
    assert await desk.score_of(TARO) == 15


async def test_a_signal_is_published_with_the_activity_that_gave_it(desk: Desk) -> None:
    await desk.receive({**download("c1"), "type": "email_clicked", "properties": {"link": "https://x.example/price"}})
    (_, value), *_ = await desk.published()
    assert value is not None
    assert value["signals"] == ["price-link"]
    assert value["signal_activities"][0]["id"] == "c1"


def history(seed: int, size: int) -> list[Activity]:
    """Random activities of few people who share browsers and phones, in random order of time."""
    dice = random.Random(seed)
    made = []
    for number in range(size):
        lead: dict[str, Any] = {}
        while not lead:
            if dice.random() < 0.5:
                lead["email"] = f"p{dice.randrange(8)}@example.co.jp"
            if dice.random() < 0.4:
                lead["anonymous_id"] = f"b{dice.randrange(10)}"
            if dice.random() < 0.2:
                lead["external_ids"] = {"crm": str(dice.randrange(8))}
        kind = dice.choice(["document_downloaded", "seminar_attended", "page_viewed", "email_clicked"])
        raw = download(f"h{number}", f"d{dice.randrange(3)}", lead=lead, type=kind, occurred_at=at(dice.random() * 90))
        if dice.random() < 0.1:
            raw["attributes"] = {"job_title": dice.choice(["課長", "部長"])}
        made.append(activity(raw))
    return made


async def assert_exact(desk: Desk, activities: list[Activity]) -> None:
    """Stored states, ids and versions are those of a fresh fold over everything."""
    states, primary = await desk.states(), desk.models.primary
    groups = resolve_leads(activities)
    assert len(states) == len(groups)
    for group in groups:
        names = [id_for(identifier) for identifier in group.identifiers]
        lead_id = id_for(group.named_by)
        state = states[lead_id]
        assert state.profile.identifiers == list(group.identifiers)
        assert state.profile.count == len(group.activities)
        expected = fold_all(primary.compiled, group.activities, desk.now)
        assert evaluate(primary.compiled, state.folds[primary.name][1], desk.now) == expected
        assert all([await desk.resolve(name) == lead_id for name in names if name in await _ids(desk)])
    versions: dict[str, list[int]] = defaultdict(list)
    for key, value in await desk.published():
        if value is not None:
            versions[key].append(value["version"])
    for key, seen in versions.items():
        assert seen == sorted(set(seen)), key


async def _ids(desk: Desk) -> set[str]:
    return {row[0] for row in await desk.pool.fetch("SELECT id::text FROM scoring.lead")}


@pytest.mark.parametrize("seed", range(4))
async def test_any_order_and_any_batches_give_the_fresh_fold(desk: Desk, seed: int) -> None:
    activities = history(seed, 60)
    dice = random.Random(seed)
    arrival = [*activities, *dice.sample(activities, 10)]
    dice.shuffle(arrival)
    while arrival:
        size = dice.randrange(1, 12)
        await desk.handler().handle(await desk.of(arrival[:size]))
        del arrival[:size]
    await assert_exact(desk, activities)


@pytest.mark.parametrize("seed", range(3))
async def test_workers_that_meet_on_the_same_leads_stay_exact(desk: Desk, seed: int) -> None:
    activities = history(100 + seed, 120)
    random.Random(seed).shuffle(activities)
    for start in range(0, len(activities), 24):
        chunk = activities[start : start + 24]
        shares = [
            await desk.batch([(worker, orjson.dumps(to_record(item))) for item in chunk[worker::3]])
            for worker in range(3)
        ]
        await gather(*(desk.handler().handle(share) for share in shares))
    await assert_exact(desk, activities)


async def test_history_is_published_as_silent_and_nothing_beside_it(desk: Desk) -> None:
    def history(id_: str, document: str) -> Activity:
        one = activity(download(id_, document))
        one.flags = (*one.flags, SILENT)
        return one

    for batch in (
        [history("a1", "d1"), history("a2", "d2")],
        [history("a3", "d3"), activity(download("a4", "d4"))],
        [activity(download("a5", "d5"))],
    ):
        await desk.handler().handle(await desk.of(batch))
    assert [value["silent"] for _, value in await desk.published() if value] == [True, False, False]
    assert await desk.score_of(TARO) == 25


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ｆＵ＠", True),
        ("ntt", True),
        ("ＮＴＴデータ", True),
        ("ＮＴＴﾃﾞｰﾀ", True),
        ("tel係", True),
        ("山田", True),
        ("ntu", False),
        ("％", False),
        ("_", False),
    ],
)
async def test_leads_are_found_whatever_the_widths_and_cases(desk: Desk, text: str, found: bool) -> None:
    who = {"name": "山田　℡係", "company": "ＮＴＴデータ"}
    await desk.receive(
        download("a1", lead={"email": "fu@example.co.jp"}, attributes=who),
        download("b1", lead={"email": "gu@example.co.jp"}),
    )
    async with desk.http() as http:
        answer = await http.get("/v1/leads", params={"q": text})
    assert [one["identifiers"]["email"] for one in answer.json()["items"]] == ["fu@example.co.jp"] * found
