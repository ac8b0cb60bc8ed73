"""Leads joined by hand and taken apart again, on a real PostgreSQL."""

import random
from datetime import timedelta
from typing import Any

import orjson
import pytest

from services.scoring.core.engine import fold_all
from services.scoring.core.links import JOINED, PARTED, Link
from services.scoring.core.resolution import resolve_leads
from shared.activity import to_record
from shared.clock import to_rfc3339
from shared.identity import ANONYMOUS, EMAIL, EXTERNAL, Identifier
from tests.integration.scoring.desk import NOW, Desk, activity, gather, lead_of

TARO = lead_of(EMAIL, "taro@example.co.jp")
YAMADA = lead_of(EMAIL, "yamada@example.com")
BROWSER = lead_of(ANONYMOUS, "b1")
OTHER_BROWSER = lead_of(ANONYMOUS, "b2")


def download(id_: str, *, days: float = 3, document: str | None = None, **lead: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "type": "document_downloaded",
        "occurred_at": to_rfc3339(NOW - timedelta(days=days)),
        "lead": lead or {"email": "taro@example.co.jp"},
        "properties": {"document": document or id_},
    }


async def say(desk: Desk, word: str, lead_id: str, other: str) -> Any:
    async with desk.http() as http:
        return await http.post(f"/v1/leads/{lead_id}/{word}", json={"with": other})


async def told(desk: Desk) -> list[dict[str, Any]]:
    return [value for _, value in await desk.published("lead-lifecycle") if value]


async def test_two_addresses_of_one_person_become_one_lead(desk: Desk) -> None:
    await desk.receive(download("a1", days=9), download("a2", document="d", days=2))
    await desk.receive(download("y1", document="d", email="yamada@example.com"))
    answer = await say(desk, "merge", YAMADA, TARO)
    assert (answer.status_code, answer.json()["id"], answer.json()["score"]) == (200, TARO, 10)
    assert answer.json()["identifiers"]["emails"] == ["taro@example.co.jp", "yamada@example.com"]
    published = await desk.published()
    assert [key for key, _ in published[-2:]] == [TARO, YAMADA]
    state, tombstone = published[-2][1], published[-1][1]
    assert state
    assert (state["cause"], state["merged_from"], tombstone) == ("merge", [YAMADA], None)
    assert state["merged_versions"] == {YAMADA: 1}
    header = await desk.pool.fetchval("SELECT headers FROM scoring.outbox WHERE value IS NULL")
    assert orjson.loads(header) == [["merged_into", TARO]]
    (merged,) = await told(desk)
    assert (merged["author"], merged["anchors"]) == ("marketing", {"survivor": TARO, "other": YAMADA})
    async with desk.http() as http:
        assert (await http.get(f"/v1/leads/{YAMADA}")).json()["id"] == TARO
    assert (await desk.replayed()).differences == []


async def test_what_comes_later_under_either_address_belongs_to_the_survivor(desk: Desk) -> None:
    await desk.receive(download("a1", days=9), download("y1", email="yamada@example.com"))
    await say(desk, "merge", TARO, YAMADA)
    await desk.receive(download("y2", days=1, email="yamada@example.com", anonymous_id="b1"))
    await desk.receive(download("y0", days=20, email="yamada@example.com", anonymous_id="b2"))
    await desk.receive(download("h1", days=1, email="hanako@example.com", anonymous_id="b1"))
    assert await desk.score_of(TARO) == 20
    assert await desk.score_of(lead_of(EMAIL, "hanako@example.com")) == 5
    assert (await say(desk, "merge", YAMADA, TARO)).json()["id"] == TARO
    assert len(await told(desk)) == 1
    assert (await desk.replayed()).differences == []


async def test_the_identified_survives_and_else_the_older(desk: Desk) -> None:
    await desk.receive(download("b", days=30, anonymous_id="b1"), download("c", days=20, anonymous_id="b2"))
    await desk.receive(download("y1", days=1, email="yamada@example.com"))
    assert (await say(desk, "merge", OTHER_BROWSER, BROWSER)).json()["id"] == BROWSER
    assert (await say(desk, "merge", BROWSER, YAMADA)).json()["id"] == YAMADA
    assert [await desk.resolve(one) for one in (BROWSER, OTHER_BROWSER)] == [YAMADA] * 2
    assert await desk.score_of(YAMADA) == 15


async def test_a_merge_by_hand_is_undone(desk: Desk) -> None:
    await desk.receive(download("a1", days=9), download("y1", email="yamada@example.com", anonymous_id="b1"))
    async with desk.http() as http:
        await http.post(f"/v1/leads/{YAMADA}/points", json={"points": 7, "reason": "met"})
    await say(desk, "merge", TARO, YAMADA)
    assert await desk.score_of(TARO) == 17
    await desk.receive(download("y2", email="yamada@example.com"))
    assert (await say(desk, "unmerge", TARO, YAMADA)).json()["score"] == 5
    assert await desk.score_of(YAMADA) == 17
    assert await desk.resolve(YAMADA) == YAMADA
    last = {key: value for key, value in await desk.published() if value}
    assert last[YAMADA]["unmerged_from"] == TARO
    merge = next(value for _, value in await desk.published() if value and value["merged_from"])
    assert last[YAMADA]["version"] > merge["merged_versions"][YAMADA]
    assert "unmerged_from" not in last[TARO]
    assert ((await told(desk))[-1]["lead_id"], (await told(desk))[-1]["unmerged_from"]) == (YAMADA, TARO)
    assert (await desk.replayed()).differences == []


async def test_an_automatic_merge_is_undone_and_does_not_come_back(desk: Desk) -> None:
    await desk.receive(download("b", anonymous_id="b1"))
    await desk.receive(download("a1", days=2, email="taro@example.co.jp", anonymous_id="b1"))
    assert await desk.score_of(TARO) == 10
    assert (await say(desk, "unmerge", TARO, BROWSER)).status_code == 200
    assert [await desk.score_of(one) for one in (TARO, BROWSER)] == [5, 5]
    await desk.receive(download("a2", days=1, email="taro@example.co.jp", anonymous_id="b1"))
    await desk.receive(download("a0", days=8, email="taro@example.co.jp", anonymous_id="b1"))
    assert [await desk.score_of(one) for one in (TARO, BROWSER)] == [15, 5]
    assert (await say(desk, "merge", TARO, BROWSER)).json()["score"] == 20
    assert (await desk.replayed()).differences == []


async def test_the_younger_of_two_browsers_is_taken_out_under_its_old_id(desk: Desk) -> None:
    await desk.receive(download("b", days=30, anonymous_id="b2"), download("c", days=20, anonymous_id="b1"))
    await say(desk, "merge", BROWSER, OTHER_BROWSER)
    assert await desk.resolve(BROWSER) == OTHER_BROWSER
    await say(desk, "unmerge", OTHER_BROWSER, BROWSER)
    assert [await desk.score_of(one) for one in (BROWSER, OTHER_BROWSER)] == [5, 5]


async def test_words_about_leads_that_cannot_be(desk: Desk) -> None:
    await desk.receive(download("a1"), download("y1", email="yamada@example.com"))
    unknown = lead_of(EMAIL, "nobody@example.com")
    answers = [
        await say(desk, "merge", TARO, unknown),
        await say(desk, "merge", unknown, TARO),
        await say(desk, "unmerge", TARO, unknown),
        await say(desk, "unmerge", TARO, YAMADA),
        await say(desk, "merge", TARO, "x"),
    ]
    assert [answer.status_code for answer in answers] == [404, 404, 404, 409, 422]
    assert (await say(desk, "merge", TARO, TARO)).status_code == 200
    assert await told(desk) == []


@pytest.mark.parametrize("seed", range(2))
async def test_merges_by_hand_amid_concurrent_batches_stay_exact(desk: Desk, seed: int) -> None:
    dice = random.Random(seed)
    people = [f"p{number}@example.co.jp" for number in range(4)]
    raw = [
        download(f"{number}", days=dice.random() * 60, document=f"d{dice.randrange(6)}", email=dice.choice(people))
        for number in range(80)
    ]
    for item in raw:
        if dice.random() < 0.4:
            item["lead"]["anonymous_id"] = f"b{dice.randrange(5)}"
    dice.shuffle(raw)
    one, other, third = (lead_of(EMAIL, person) for person in people[:3])

    async def shares(start: int, end: int) -> list[Any]:
        """The activities as batches of three workers that read partitions of their own."""
        values = [orjson.dumps(to_record(activity(item))) for item in raw[start:end]]
        made = [await desk.batch([(worker, value) for value in values[worker::3]]) for worker in range(3)]
        return [desk.handler().handle(share) for share in made]

    await gather(*await shares(0, 20))
    await gather(say(desk, "merge", one, other), *await shares(20, 50))
    await gather(say(desk, "merge", other, third), *await shares(50, 65))
    await gather(say(desk, "unmerge", third, other), *await shares(65, 80))
    rows = await desk.pool.fetch("SELECT kind, survivor::text, other::text FROM scoring.link ORDER BY seq")
    said = [Link(*row) for row in rows]
    assert {link.kind for link in said} <= {JOINED, PARTED}
    parted = [link.other for link in said if link.kind == PARTED]
    joined = [
        (_email(link.survivor, people), _email(link.other, people))
        for link in said
        if link.kind == JOINED and link.other not in parted
    ]
    groups = resolve_leads([activity(item) for item in raw], joined=joined)
    expected = sorted(fold_all(desk.models.primary.compiled, group.activities, NOW).score or 0 for group in groups)
    scores = [await desk.score_of(lead_id) or 0 for lead_id in await desk.states()]
    assert sorted(round(score * 100) for score in scores) == expected
    assert (await desk.replayed()).differences == []


def _email(lead_id: str, people: list[str]) -> Identifier:
    return next(Identifier(EMAIL, person) for person in people if lead_of(EMAIL, person) == lead_id)


async def test_what_was_refused_while_two_were_one_joins_once_they_are_apart(desk: Desk) -> None:
    """A browser was joined to the wrong person by hand; meanwhile the right one used it."""
    hanako = lead_of(EMAIL, "hanako@example.com")
    await desk.receive(download("b", days=9, anonymous_id="b1"), download("a1", days=8))
    await say(desk, "merge", TARO, BROWSER)
    await desk.receive(download("h1", days=1, email="hanako@example.com", anonymous_id="b1"))
    assert [await desk.score_of(one) for one in (TARO, hanako)] == [10, 5]
    assert (await say(desk, "unmerge", TARO, BROWSER)).status_code == 200
    assert [await desk.score_of(one) for one in (TARO, hanako)] == [5, 10]
    assert await desk.resolve(BROWSER) == hanako
    assert [one.get("unmerged_from") for one in await told(desk)] == [None, TARO, None]
    last = dict(await desk.published())
    survivor = last[hanako]
    assert survivor is not None
    assert (last[BROWSER], survivor["merged_from"]) == (None, [BROWSER])
    assert (await desk.replayed()).differences == []


async def test_a_merge_by_hand_leaves_leads_alone_of_which_it_only_knows_the_names(desk: Desk) -> None:
    """Two browsers are one lead by hand; two people who used them, refused to both, become one as well."""
    await desk.receive(download("b1", days=9, anonymous_id="b1"), download("b2", days=8, anonymous_id="b2"))
    await say(desk, "merge", BROWSER, OTHER_BROWSER)
    await desk.receive(download("a1", days=7, email="first@example.com", anonymous_id="b1"))
    first = lead_of(EMAIL, "first@example.com")
    await desk.receive(
        download("t1", days=2, email="taro@example.co.jp", anonymous_id="b1"),
        download("y1", days=1, email="yamada@example.com", anonymous_id="b2"),
    )
    assert (await say(desk, "merge", YAMADA, TARO)).status_code == 200
    assert [await desk.score_of(await desk.resolve(one)) for one in (BROWSER, TARO)] == [15, 10]
    assert {await desk.resolve(one) for one in (BROWSER, OTHER_BROWSER, first)} == {await desk.resolve(first)}
    assert (await desk.replayed()).differences == []


async def test_a_merge_by_hand_takes_along_what_was_once_taken_out_of_the_other_lead(desk: Desk) -> None:
    """The browser was taken away from one person and went to another: who joins them, joins it with them."""
    await desk.receive(download("a0", days=20), download("b", days=9, anonymous_id="b1"))
    await desk.receive(download("a1", days=8, email="taro@example.co.jp", anonymous_id="b1"))
    await say(desk, "unmerge", TARO, BROWSER)
    await desk.receive(download("y1", days=7, email="yamada@example.com", anonymous_id="b1"))
    assert [await desk.score_of(one) for one in (TARO, YAMADA)] == [10, 10]
    answer = await say(desk, "merge", TARO, BROWSER)
    assert (answer.status_code, answer.json()["id"], answer.json()["score"]) == (200, TARO, 20)
    assert answer.json()["identifiers"]["anonymous_ids"] == ["b1"]
    assert [await desk.resolve(one) for one in (BROWSER, YAMADA)] == [TARO] * 2
    merged = [(one["merged_from"], one["anchors"]) for one in (await told(desk))[-2:]]
    assert merged == [
        ([BROWSER], {"survivor": YAMADA, "other": BROWSER}),
        ([YAMADA], {"survivor": TARO, "other": YAMADA}),
    ]
    await desk.receive(download("a2", days=6, anonymous_id="b1"), download("a3", days=10, anonymous_id="b1"))
    assert await desk.score_of(TARO) == 30
    assert (await desk.replayed()).differences == []


async def test_what_a_merge_by_hand_took_along_leaves_with_its_own_lead(desk: Desk) -> None:
    await desk.receive(download("a0", days=20), download("b", days=9, anonymous_id="b1"))
    await desk.receive(download("a1", days=8, email="taro@example.co.jp", anonymous_id="b1"))
    await say(desk, "unmerge", TARO, BROWSER)
    await desk.receive(download("y1", days=7, email="yamada@example.com", anonymous_id="b1"))
    await say(desk, "merge", TARO, YAMADA)
    assert (await say(desk, "unmerge", TARO, YAMADA)).status_code == 200
    assert [await desk.score_of(one) for one in (TARO, YAMADA)] == [10, 10]
    await desk.receive(download("a2", days=1, email="taro@example.co.jp", anonymous_id="b1"))
    assert [await desk.score_of(one) for one in (TARO, YAMADA)] == [15, 10]
    assert await desk.resolve(BROWSER) == YAMADA
    assert (await desk.replayed()).differences == []


async def test_a_merge_by_hand_takes_along_an_address_that_came_by_itself(desk: Desk) -> None:
    """Of two ids of other systems that were joined by hand, one got an address later: it names the lead no more."""
    crm, shop = ({name: "1"} for name in ("crm", "shop"))
    ids = [lead_of(EXTERNAL, f"{name}:1") for name in ("crm", "shop")]
    await desk.receive(download("c1", days=9, external_ids=crm), download("s1", days=8, external_ids=shop))
    await say(desk, "merge", *ids)
    await desk.receive(download("y1", days=7, email="yamada@example.com", external_ids=crm), download("a1", days=6))
    assert [await desk.score_of(one) for one in (ids[0], TARO)] == [15, 5]
    answer = await say(desk, "merge", TARO, ids[0])
    assert (answer.json()["id"], answer.json()["score"]) == (ids[0], 20)
    assert answer.json()["identifiers"]["emails"] == ["taro@example.co.jp", "yamada@example.com"]
    assert (await desk.replayed()).differences == []
