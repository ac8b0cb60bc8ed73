"""A lead with a very long past leaves little."""

from datetime import timedelta

import pytest

from tests.integration.scoring.desk import NOW, Desk
from tests.integration.scoring.past_desk import JANUARY, TARO, counts, did, receive, remove


@pytest.mark.long
async def test_a_lead_with_a_hundred_thousand_activities_leaves_little(desk: Desk) -> None:
    kinds = ("page_viewed", "email_opened", "document_downloaded", "email_clicked")
    for start in range(0, 100_000, 2_000):
        many = [
            did(f"n{number}", JANUARY - timedelta(minutes=4 * number), kinds[number % 4],
                properties={"document": f"d{number % 50}", "url": f"/p{number % 30}", "email_id": f"m{number % 90}"})
            for number in range(start, start + 2_000)
        ]  # fmt: skip
        await receive(desk, JANUARY, *many)
    await receive(desk, NOW, did("now", NOW))
    before = await desk.score_of(TARO)
    await remove(desk)
    assert await counts(desk) == (1, 1, 100_001)
    assert await desk.score_of(TARO) == before
    written, stored = await desk.pool.fetchrow(
        "SELECT length(body::text), pg_column_size(body) FROM scoring.entry WHERE kind = 'opening'"
    )
    print(f"an opening of 100,000 activities: {written:,} bytes of JSON, {stored:,} stored")
    assert stored < 100_000
    assert (await desk.replayed()).differences == []
