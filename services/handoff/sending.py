"""The sender: claims due deliveries, makes attempts without holding a session, and writes down what came of them."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import structlog

from services.handoff.channels import Channels
from services.handoff.collected import CollectedRun
from services.handoff.core.events import destination_disabled
from services.handoff.core.retry import GiveUp, after_failure
from services.handoff.delivery_repository import AttemptRow, Claimed, DeliveryRepository, Outcome, Stored
from services.handoff.destinations.base import Channel, Parcel, Report
from services.handoff.lanes import Lane
from services.handoff.settings import HandoffSettings
from services.handoff.tables import SCHEMA
from shared import outbox
from shared.clock import Clock
from shared.events import EXTRACTION_COMPLETED
from shared.telemetry import HANDOFF_ATTEMPTS, BoundedLabels
from shared.waiting import until_it_works

LOOK_EVERY_S = 1.0
AGAIN_AFTER_BREAK = timedelta(seconds=15)
"""How much longer than an attempt a lease lasts: time to write down what came of it, and to wait in the lane."""
RUN_COMPLETE_WITHIN = timedelta(minutes=10)
RUN_LOOK_EVERY = timedelta(seconds=2)
CLEAN_EVERY_S, CLEAN_CHUNK = 600.0, 1_000
RELEASE_WITHIN_S = 2.0
MOST_RESULTS = 500

log = structlog.get_logger()


class Sender:
    """One per process. Destinations do not wait for each other: each has a lane, connections and a share of claims of
    its own.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        settings: HandoffSettings,
        channels: Channels,
        clock: Clock,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._pool = pool
        self._settings = settings
        self._channels = channels
        self._clock = clock
        self._jitter = jitter
        self._lease = timedelta(seconds=settings.handoff.delivery_timeout_s) + AGAIN_AFTER_BREAK
        self._token = uuid4()
        self._lanes: dict[UUID, Lane] = {}
        self._results: asyncio.Queue[Outcome] = asyncio.Queue()
        self._wake = asyncio.Event()
        self._labels = BoundedLabels()

    def wake(self) -> None:
        """Look for due deliveries now."""
        self._wake.set()

    def try_now(self, destination_id: UUID) -> None:
        """As `wake`; a destination that is left in peace is tried all the same: somebody asks for it."""
        lane = self._lanes.get(destination_id)
        if lane is not None:
            lane.breaker = replace(lane.breaker, resting_until=None)
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled; PostgreSQL is waited for while it is away."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._dispatch())
                tasks.create_task(self._record())
                tasks.create_task(self._clean())
        finally:
            for lane in self._lanes.values():
                lane.abandon()
            # Without this the next process would wait for the leases to end; with it, at worst, sends a little twice.
            with suppress(Exception):
                await asyncio.wait_for(self._release(), RELEASE_WITHIN_S)
            for lane in self._lanes.values():
                with suppress(Exception):
                    await asyncio.wait_for(lane.channel.aclose(), RELEASE_WITHIN_S)

    async def _dispatch(self) -> None:
        while True:
            self._wake.clear()
            await until_it_works(self._round, _ignore)
            # Not wait_for: before Python 3.12 it loses a cancellation that comes together with what it waits for.
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._wake.wait()

    async def _round(self) -> None:
        """Bring the lanes up to date and fill them; while results wait to be written down, nothing new is begun."""
        now = self._clock()
        async with self._pool.acquire() as conn, conn.transaction():
            repository = DeliveryRepository(conn)
            self._renew({one.id: one for one in await repository.destinations()}, now)
            room = {id_: wanted for id_, lane in self._lanes.items() if (wanted := lane.room(now)) > 0}
            if not room or self._results.qsize() > MOST_RESULTS:
                return
            claimed = await repository.claim(room, now, now + self._lease, self._token)
        by_lane: dict[UUID, list[Claimed]] = defaultdict(list)
        for one in claimed:
            by_lane[one.destination_id].append(one)
        for id_, mine in by_lane.items():
            self._lanes[id_].put(mine)

    def _renew(self, stored: Mapping[UUID, Stored], now: datetime) -> None:
        for id_, lane in list(self._lanes.items()):
            if id_ not in stored or stored[id_].revision != lane.stored.revision:
                del self._lanes[id_]
                for left in lane.close():
                    self._put_off(left, now)
        concurrency = self._settings.handoff.delivery_concurrency
        for id_, one in stored.items():
            if id_ not in self._lanes:
                self._lanes[id_] = Lane(one, self._channels.open(one), concurrency, self._attempt, self.wake)

    async def _attempt(self, lane: Lane, claimed: Claimed) -> None:
        """One delivery of a lane: an attempt, unless there is a reason to put it off."""
        now = self._clock()
        if now + timedelta(seconds=self._settings.handoff.delivery_timeout_s) > claimed.until:
            return  # too late to be done before the lease ends: then it is due again by itself
        if not lane.breaker.allows(now):
            self._put_off(claimed, lane.breaker.resting_until or now)
            return
        parcel = await self._completed(claimed, now, lane.stored.spec)
        if parcel is None:
            self._put_off(claimed, now + RUN_LOOK_EVERY)
            return
        made = await make_attempt(lane.channel, replace(claimed, parcel=parcel), self._clock, self._jitter())
        assert made.attempt is not None
        outcome = made.attempt.outcome
        if outcome != "skipped":
            lane.breaker = lane.breaker.after(delivered=outcome == "delivered", begun_at=now, now=self._clock())
        HANDOFF_ATTEMPTS.labels(self._labels(lane.stored.name), outcome).inc()
        self._results.put_nowait(made)

    async def _completed(self, claimed: Claimed, now: datetime, spec: Mapping[str, Any]) -> Parcel | None:
        """The parcel, with the leads of its run where they come as one; None while some are still on their way."""
        parcel = claimed.parcel
        tells_a_run = parcel.type == EXTRACTION_COMPLETED and parcel.data.get("kind") != "list"
        if not (spec.get("digest") and tells_a_run and claimed.extraction):
            return parcel
        run = CollectedRun(self._pool, claimed.destination_id, claimed.extraction)
        promised = parcel.data.get("count")
        waited = now - parcel.created_at > RUN_COMPLETE_WITHIN
        there = await until_it_works(run.count, _ignore)
        if isinstance(promised, int) and there < promised and not waited:
            return None
        return replace(parcel, run=run)

    def _put_off(self, claimed: Claimed, until: datetime) -> None:
        self._results.put_nowait(Outcome(claimed, None, "waiting", until))

    async def _record(self) -> None:
        while True:
            outcomes = [await self._results.get()]
            while not self._results.empty() and len(outcomes) < MOST_RESULTS:
                outcomes.append(self._results.get_nowait())
            await until_it_works(partial(record, self._pool, self._settings, outcomes, self._clock()), _ignore)
            if self._results.qsize() <= MOST_RESULTS < self._results.qsize() + len(outcomes):
                self._wake.set()

    async def _clean(self) -> None:
        kept = timedelta(days=self._settings.handoff.deliveries_kept_d)
        while True:
            done = await until_it_works(partial(self._clean_some, kept), _ignore)
            if done < CLEAN_CHUNK:
                await asyncio.sleep(CLEAN_EVERY_S)

    async def _clean_some(self, kept: timedelta) -> int:
        async with self._pool.acquire() as conn, conn.transaction():
            return await DeliveryRepository(conn).clean(self._clock() - kept, CLEAN_CHUNK)

    async def _release(self) -> None:
        async with self._pool.acquire() as conn:
            await DeliveryRepository(conn).release(list(self._lanes), self._token, self._clock())


async def make_attempt(channel: Channel, claimed: Claimed, clock: Clock, jitter: float) -> Outcome:
    """Send once and say what it makes of the delivery. No session is held meanwhile."""
    begun_at, started = clock(), time.perf_counter()
    report = await _send(channel, claimed.parcel, begun_at)
    took_ms = round((time.perf_counter() - started) * 1e3)
    attempt = AttemptRow(
        id=uuid4(),
        delivery_id=claimed.parcel.delivery_id,
        destination_id=claimed.destination_id,
        number=claimed.attempts + 1,
        at=begun_at,
        took_ms=took_ms,
        outcome="skipped" if report.skipped else "delivered" if report.delivered else "failed",
        problem=report.problem,
        request=report.request,
        response=report.response,
    )
    now = clock()
    if report.delivered:
        return Outcome(claimed, attempt, "delivered", now)
    if report.skipped:
        return Outcome(claimed, attempt, "skipped", now)
    log.info(
        "attempt_failed", delivery=str(attempt.delivery_id), destination=str(attempt.destination_id), why=report.problem
    )
    then = after_failure(claimed.tries + 1, now, jitter, report.asked)
    if isinstance(then, GiveUp) or claimed.parcel.test:
        return Outcome(claimed, attempt, "failed", now, gone=report.gone)
    return Outcome(claimed, attempt, "waiting", then.at, gone=report.gone)


async def _send(channel: Channel, parcel: Parcel, now: datetime) -> Report:
    try:
        return await channel.send(parcel, now)
    except Exception as error:
        # One delivery that cannot be made must not end the deliveries of all others.
        log.exception("attempt_broken", delivery=str(parcel.delivery_id))
        return Report({}, problem=f"could not be made: {type(error).__name__}")


async def record(pool: asyncpg.Pool, settings: HandoffSettings, outcomes: Sequence[Outcome], now: datetime) -> None:
    """Write down attempts in one transaction, and tell of destinations that are disabled by them."""
    async with pool.acquire() as conn, conn.transaction():
        disabled = await DeliveryRepository(conn).record(outcomes, now)
        published = [
            destination_disabled(str(one.id), one.name, one.kind, reason, one.failing_since, now)
            for one, reason in disabled
        ]
        await outbox.append(conn, SCHEMA, published, settings.kafka.partitions)
    for stored, reason in disabled:
        log.error("destination_disabled", destination=str(stored.id), kind=stored.kind, why=reason)
    for outcome in outcomes:
        if outcome.state == "failed" and not outcome.claimed.parcel.test:
            log.error("delivery_given_up", delivery=str(outcome.claimed.parcel.delivery_id))


def _ignore(_: str | None) -> None:
    """The consumers tell what is wrong with the servers."""
