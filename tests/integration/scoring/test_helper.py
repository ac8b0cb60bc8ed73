"""The processes that fold beside the service: what they do counts once, however they end."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from functools import partial

import httpx2
import psutil
import pytest

from services.scoring import refold
from services.scoring.advancing import advance_packed
from services.scoring.core.lead import Models, is_current
from services.scoring.helper import Helper, Helpers
from services.scoring.helping import STEPS_BACK, Folding
from services.scoring.packing import Packed
from services.scoring.refold import Refolder
from shared.waiting import until_it_works
from tests.integration.scoring.desk import Desk
from tests.integration.scoring.model_desk import download, draft, fold, open_api, publish, worth
from tests.integration.scoring.test_handler import assert_exact, history

WITHIN_S = 30.0
PARENT = """
import asyncio
from services.scoring.helper import Helper

async def main():
    helper = Helper()
    while not helper.ready():
        await asyncio.sleep(0.01)
    print(helper.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
async def api(desk: Desk) -> AsyncIterator[httpx2.AsyncClient]:
    async with open_api(desk) as client:
        yield client


async def up(helper: Helper) -> int:
    """Wait until the helper is there; returns its pid."""
    async with asyncio.timeout(WITHIN_S):
        while not helper.ready():  # noqa: ASYNC110 - a helper tells nobody
            await asyncio.sleep(0.01)
    assert helper.pid is not None
    return helper.pid


async def test_a_helper_that_is_killed_has_its_chunk_done_again_by_the_next(
    desk: Desk, api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refold, "CHUNK", 5)
    monkeypatch.setattr(refold, "ACTIVITIES_WORTH_A_HELPER", 1)
    people = [f"p{number}@example.co.jp" for number in range(40)]
    await desk.receive(*(download(f"d{number}", email) for number, email in enumerate(people)))
    await fold(desk)
    address, _ = await draft(api, worth(8))
    await publish(api, address)
    helpers = Helpers()
    refolder = Refolder(desk.pool, desk.settings, desk.models, lambda: desk.now, helpers)
    problems: list[str | None] = []
    try:
        first, _ = [await up(helper) for helper in helpers.each]
        assert await refolder.some(1)
        os.kill(first, signal.SIGKILL)
        while await until_it_works(refolder.some, problems.append):
            pass
        assert await up(helpers.each[0]) != first
    finally:
        await refolder.forget_ahead()
        await helpers.end()
    assert any(problems)
    states = await desk.states()
    assert len(states) == len(people)
    assert all(is_current(desk.models.current, state) for state in states.values())
    assert {await desk.score_of(lead_id) for lead_id in states} == {8.0}
    assert len([key for key, value in await desk.published() if value and value["cause"] == "model"]) == len(people)
    assert (await desk.replayed()).differences == []


@pytest.fixture
async def shared_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Helper]:
    """The helper of a desk at which every batch is shared out with it."""
    monkeypatch.setattr("services.scoring.batch.LEADS_WORTH_A_HELPER", 1)
    monkeypatch.setattr("services.scoring.sharing.PIECE", 1)
    desk.helpers = Helpers()
    try:
        assert desk.helpers.idle() is None
        await up(desk.helpers.each[0])
        assert desk.helpers.each[1].pid is None
        yield desk.helpers.each[0]
    finally:
        await desk.helpers.end()


@pytest.mark.parametrize("seed", range(2))
async def test_batches_that_are_shared_out_with_a_helper_give_the_fresh_fold(
    desk: Desk, shared_out: Helper, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    given: list[Packed] = []
    do = Helper.do

    async def counted(helper: Helper, folding: Folding, models: Models, pieces: Sequence[Packed]) -> list[Packed]:
        given.extend(pieces)
        return await do(helper, folding, models, pieces)

    monkeypatch.setattr(Helper, "do", counted)
    activities = history(seed, 120)
    arrival = random.Random(seed).sample(activities, len(activities))
    for start in range(0, len(arrival), 20):
        await desk.handler().handle(await desk.of(arrival[start : start + 20]))
    await assert_exact(desk, activities)
    assert given
    assert shared_out.in_hand == 0


async def test_a_batch_whose_helper_is_killed_is_folded_here(desk: Desk, shared_out: Helper) -> None:
    activities = history(7, 60)
    batch = await desk.of(activities)
    assert shared_out.pid is not None
    os.kill(shared_out.pid, signal.SIGSTOP)
    handling = asyncio.create_task(desk.handler().handle(batch))
    async with asyncio.timeout(WITHIN_S):
        while not shared_out.in_hand:  # noqa: ASYNC110 - a helper tells nobody
            await asyncio.sleep(0.001)
    os.kill(shared_out.pid, signal.SIGKILL)
    await handling
    await assert_exact(desk, activities)
    assert shared_out.pid is None


async def test_a_helper_that_does_not_answer_is_ended_and_its_part_of_the_batch_folded_here(
    desk: Desk, shared_out: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.scoring.sharing.GIVE_UP_S", 0.2)
    activities, stopped = history(8, 60), shared_out.pid
    assert stopped is not None
    os.kill(stopped, signal.SIGSTOP)
    async with asyncio.timeout(WITHIN_S):
        await desk.handler().handle(await desk.of(activities))
    await assert_exact(desk, activities)
    assert shared_out.pid is None
    assert not psutil.pid_exists(stopped)


async def test_chunks_are_shared_out_among_helpers_and_these_let_others_go_first(desk: Desk) -> None:
    helpers = Helpers()
    try:
        pids = [await up(helper) for helper in helpers.each]
        assert {psutil.Process(pid).nice() for pid in pids} == {psutil.Process().nice() + STEPS_BACK}
        folding, models = partial(advance_packed, now=desk.now), desk.models.current
        chunks = [asyncio.create_task(helpers.do(folding, models, [[]])) for _ in range(4)]
        await asyncio.sleep(0)
        assert [helper.in_hand for helper in helpers.each] == [2, 2]
        assert await asyncio.gather(*chunks) == [[[]]] * 4
        assert [helper.in_hand for helper in helpers.each] == [0, 0]
    finally:
        await helpers.end()


async def test_a_helper_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIZASHI_DATABASE__URL", "postgresql://kizashi:secret@127.0.0.1/kizashi")
    helper = Helper()
    try:
        given = psutil.Process(await up(helper)).environ()
        assert given["PATH"] == os.environ["PATH"]
        assert not [name for name in given if name.startswith("KIZASHI_")]
    finally:
        await helper.end()


async def test_a_helper_without_work_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    helper = Helper()
    try:
        pid = await up(helper)
        await helper.rest()
        assert helper.pid == pid
        monkeypatch.setattr("services.scoring.helper.KEEP_S", -1.0)
        await helper.rest()
        assert helper.pid is None
        assert not psutil.pid_exists(pid)
    finally:
        await helper.end()


async def test_a_helper_leaves_the_end_to_the_service_when_a_terminal_interrupts_both(desk: Desk) -> None:
    helper = Helper()
    try:
        pid = await up(helper)
        os.kill(pid, signal.SIGINT)
        assert await helper.do(partial(advance_packed, now=desk.now), desk.models.current, [[]]) == [[]]
        assert helper.pid == pid
    finally:
        await helper.end()


async def test_no_helper_outlives_a_service_that_is_killed() -> None:
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await asyncio.wait_for(parent.stdout.readline(), WITHIN_S))
    assert psutil.pid_exists(pid)
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(WITHIN_S):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
