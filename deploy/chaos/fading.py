"""Beside the steady load: people whose points fade within minutes, points by hand that expire, leads joined by hand,
and models published while processes die.

Every person does a few things and is then left to the timer. What all of it must lead to says `fading_check`.
"""

import random
import threading
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import orjson

from deploy.chaos.fading_model import AFTER, BEFORE, Numbers, model_of
from deploy.chaos.stack import SufferingStack
from deploy.local.paths import ROOT
from shared.documents import read_document
from shared.errors import KizashiError

DOMAIN = "fading.example"
PEOPLE, ACTS = 40, 5
"""So many at a time, and what each of them does: less than a state shows of recent activities, also of two joined."""
PER_SECOND = 8.0
FIRST_AT, SECOND_AT = 1 / 3, 1 / 2
"""Which share of the faults is over when the primary is published anew, and the fading model."""
PER_MINUTE = 6_000
PATIENCE_S = 120.0
AGAIN_S = 0.3
KINDS = ("page_viewed", "page_viewed", "document_downloaded")


@dataclass(slots=True)
class Fading:
    """Runs beside the load until told to stop. `sent` are the activities that are safe; `given` what was given by hand,
    by address, with when it expires; `published` which numbers a version of the fading model has. `people`, `states`,
    and of these `by_time`, are what the checker saw.
    """

    ingest: str
    scoring: str
    key: str
    seed: int
    sent: set[str] = field(default_factory=set)
    given: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    published: dict[int, Numbers] = field(default_factory=lambda: {1: BEFORE})
    primary: int = 1
    joined: int = 0
    people: int = 0
    states: int = 0
    by_time: int = 0
    over: float = 0.0
    error: Exception | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Everything, until `stop` is set; a failure is kept in `error`."""
        dice = random.Random(self.seed)  # noqa: S311 - no secret
        headers = {"Authorization": f"Bearer {self.key}"}
        try:
            with httpx2.Client(headers=headers, timeout=10.0, trust_env=False) as client:
                generation = 0
                while not self.stop.is_set():
                    self._live(client, dice, generation)
                    generation += 1
                self._publish_due(client, over=1.0)
        except Exception as error:
            self.error = error

    def progress(self, done: int, of: int) -> None:
        """How many of the faults have begun."""
        self.over = done / max(of, 1)

    def _live(self, client: httpx2.Client, dice: random.Random, generation: int) -> None:
        people = [f"p{generation}-{number}@k{self.seed}.{DOMAIN}" for number in range(PEOPLE)]
        for turn in range(PEOPLE * ACTS):
            if self.stop.is_set():
                return
            self._publish_due(client, over=self.over)
            self._act(client, dice, people[turn % PEOPLE])
            if turn % 20 == 13:
                self._give(client, dice, people[turn % PEOPLE])
            if turn % 50 == 49:
                self._join(client, people[turn % PEOPLE], people[(turn + 1) % PEOPLE])
            time.sleep(1 / PER_SECOND)

    def _act(self, client: httpx2.Client, dice: random.Random, email: str) -> None:
        id_ = str(uuid.UUID(int=dice.getrandbits(128)))
        kind = dice.choice(KINDS)
        about = {"url": f"https://example.com/{id_}"} if kind == "page_viewed" else {"document": "one"}
        at = datetime.now(UTC).isoformat()
        body = {"id": id_, "source": DOMAIN, "type": kind, "occurred_at": at, "lead": {"email": email}}
        self._until(client, "POST", f"{self.ingest}/v1/activities", {**body, "properties": about}, {202})
        self.sent.add(id_)

    def _give(self, client: httpx2.Client, dice: random.Random, email: str) -> None:
        """Points that expire; a lead that is not scored yet, or has some already, gets none."""
        lead_id = self._lead_id(client, email)
        if lead_id is None or email in self.given:
            return
        expires = datetime.now(UTC) + timedelta(seconds=dice.randint(90, 150))
        points = dice.randint(2, 6)
        self.given[email] = (points * 100, expires)
        body = {"id": f"{self.seed}-{email}", "points": points, "reason": "met", "expires_at": expires.isoformat()}
        # 422: a wrong clock says that they have expired already.
        self._until(client, "POST", f"{self.scoring}/v1/leads/{lead_id}/points", body, {200, 201, 202, 422})

    def _join(self, client: httpx2.Client, one: str, other: str) -> None:
        ids = [self._lead_id(client, email) for email in (one, other)]
        if all(ids) and ids[0] != ids[1]:
            self._until(client, "POST", f"{self.scoring}/v1/leads/{ids[0]}/merge", {"with": ids[1]}, {200})
            self.joined += 1

    def _lead_id(self, client: httpx2.Client, email: str) -> str | None:
        found = self._until(client, "GET", f"{self.scoring}/v1/leads?email={email}", None, {200})
        items = found["items"]
        return items[0]["id"] if items else None

    def _publish_due(self, client: httpx2.Client, *, over: float) -> None:
        if over >= FIRST_AT and self.primary == 1:
            tree = read_document((ROOT / "config" / "scoring.yaml").read_text(encoding="utf-8")).tree
            tree["stages"][0]["name"]["en"] = "Awareness, told otherwise"
            self.primary = self._publish(client, tree, {})
        if over >= SECOND_AT and len(self.published) == 1:
            self.published[self._publish(client, model_of(AFTER), {"release_per_minute": PER_MINUTE})] = AFTER

    def _publish(self, client: httpx2.Client, tree: dict[str, Any], how: dict[str, Any]) -> int:
        draft = self._until(client, "POST", f"{self.scoring}/v1/models", tree, {201})
        way = f"{self.scoring}/v1/models/{draft['name']}/{draft['version']}/publish"
        self._until(client, "POST", way, how, {200})
        return int(draft["version"])

    @staticmethod
    def _until(client: httpx2.Client, method: str, url: str, body: Any, fine: Collection[int]) -> Any:
        """Ask until it works. Raises KizashiError when it never does."""
        deadline, last = time.monotonic() + PATIENCE_S, ""
        while time.monotonic() < deadline:
            try:
                answer = client.request(method, url, json=body)
                if answer.status_code in fine:
                    return orjson.loads(answer.content)
                last = f"{answer.status_code} {answer.text[:300]}"
                if answer.status_code < 500 and answer.status_code not in (404, 429):
                    break
            except httpx2.HTTPError as error:
                last = str(error)
            time.sleep(AGAIN_S)
        raise KizashiError(f"{method} {url}: {last}")


@contextmanager
def beside(stack: SufferingStack, seed: int) -> Iterator[Fading]:
    """People who fade, as long as the body runs. Raises KizashiError for what could not be done."""
    services = stack.state.addresses.services
    key = stack.data.cli_key.read_text(encoding="ascii").strip()
    fading = Fading(services["ingest"], services["scoring"], key, seed)
    thread = threading.Thread(target=fading.run, name="fading", daemon=True)
    thread.start()
    try:
        yield fading
    finally:
        fading.stop.set()
        thread.join()
    if fading.error is not None:
        raise KizashiError(f"the people who fade: {fading.error}") from fading.error
