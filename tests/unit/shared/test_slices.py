"""Long work lets others go first, short work is not held up."""

import asyncio

from shared.slices import Slices


async def test_who_waits_gets_a_turn_when_the_slice_is_used_up() -> None:
    turns: list[str] = []
    asyncio.get_running_loop().call_soon(turns.append, "other")
    await Slices(slice_s=3_600).give_way()
    assert turns == []
    await Slices(slice_s=0).give_way()
    assert turns == ["other"]
