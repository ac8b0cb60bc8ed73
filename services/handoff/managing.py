"""Destinations made, changed, tested and removed: what the routes call."""

import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from pydantic import ValidationError

from services.handoff.channels import Channels
from services.handoff.core.delivery import message_id
from services.handoff.core.destination import (
    FolderSpec,
    MailSpec,
    SlackSpec,
    WebhookSpec,
    masked,
    patched,
    read_spec,
    split,
)
from services.handoff.core.signing import new_secret, secret_key
from services.handoff.delivery_repository import Claimed, stored_of
from services.handoff.destination_repository import DestinationRepository, NewDestination
from services.handoff.destination_views import attempt_view, destination_view
from services.handoff.destinations.base import Parcel
from services.handoff.sending import make_attempt, record
from services.handoff.settings import HandoffSettings
from services.handoff.vault import Vault
from shared import schemas
from shared.clock import Clock, to_rfc3339
from shared.codec import encode
from shared.errors import FieldFault, ProblemError, pointer
from shared.events import DELIVERY_TEST, QUALIFIED
from shared.outgoing import AddressRefused

KINDS = ("webhook", "slack", "mail", "folder")
SECRET_BYTES = 32
FORMER_KEPT, FORMER_KEPT_AT_MOST = timedelta(hours=24), timedelta(days=7)
TEST_LEASE = timedelta(minutes=1)


class Destinations:
    """What can be done to destinations; each call is one short transaction, or several around a test."""

    def __init__(
        self, pool: asyncpg.Pool, settings: HandoffSettings, vault: Vault, channels: Channels, clock: Clock
    ) -> None:
        self._pool = pool
        self._settings = settings
        self._vault = vault
        self._channels = channels
        self._clock = clock

    def view(self, row: Mapping[str, Any], waiting: int = 0) -> dict[str, Any]:
        """A row as it may be shown."""
        return destination_view(row, self._vault.open(row["secrets"]), waiting)

    async def make(self, body: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
        """Make one; returns its view with the signing secret of a webhook, and its ETag. Raises ProblemError."""
        spec = self._read(body)
        secret = (spec.secret or new_secret(os.urandom(SECRET_BYTES))) if isinstance(spec, WebhookSpec) else None
        shown, hidden = split(spec)
        signing = [{"secret": secret, "until": None}] if secret else []
        sealed = self._vault.seal({"hidden": hidden, "signing": signing})
        new = NewDestination(uuid4(), spec.name, spec.kind, shown, sealed, spec.state)
        async with self._pool.acquire() as conn, conn.transaction():
            repository = DestinationRepository(conn)
            if not await repository.insert(new, self._clock()):
                raise name_taken()
            row = found(await repository.one(new.id))
        return {**self.view(row), "secret": secret}, etag(row)

    async def change(self, id_: UUID, patch: Mapping[str, Any], if_match: str | None) -> tuple[dict[str, Any], str]:
        """Apply a merge patch; returns the view and the new ETag. Raises ProblemError."""
        async with self._pool.acquire() as conn, conn.transaction():
            repository = DestinationRepository(conn)
            row = found(await repository.one(id_, lock=True))
            check_match(row, if_match, required=True)
            secrets = self._vault.open(row["secrets"]) or {"hidden": {}, "signing": []}
            whole = {**stored_of(row).spec, **secrets["hidden"], "state": row["state"]}
            changed = self._patched(whole, patch, self.view(row).get("url"))
            shown, hidden = split(changed)
            sealed = self._vault.seal({**secrets, "hidden": hidden})
            new = NewDestination(id_, changed.name, changed.kind, shown, sealed, changed.state)
            try:
                await repository.update(new, self._clock())
            except asyncpg.UniqueViolationError:
                raise name_taken() from None
            row = found(await repository.one(id_))
            waiting = await repository.counts([id_])
        return self.view(row, waiting.get(id_, 0)), etag(row)

    def _patched(
        self, whole: Mapping[str, Any], patch: Mapping[str, Any], shown_url: str | None
    ) -> WebhookSpec | SlackSpec | MailSpec | FolderSpec:
        if patch.get("kind", whole["kind"]) != whole["kind"]:
            raise _faulty(FieldFault("/kind", "a destination keeps its kind; make another one"))
        if "secret" in patch:
            raise _faulty(
                FieldFault("/secret", "expected to be changed by POST …/rotate, so that both are valid for a while")
            )
        return self._read(patched(whole, patch, shown_url))

    async def rotate(self, id_: UUID, secret: str | None, keep: timedelta) -> tuple[str, datetime]:
        """A new signing secret; the former ones stay valid for a while, and no longer than they would have."""
        now = self._clock()
        chosen = secret or new_secret(os.urandom(SECRET_BYTES))
        try:
            secret_key(chosen)
        except ValueError as error:
            raise _faulty(FieldFault("/secret", str(error))) from None
        async with self._pool.acquire() as conn, conn.transaction():
            repository = DestinationRepository(conn)
            row = found(await repository.one(id_, lock=True))
            if row["kind"] != "webhook":
                raise ProblemError(409, "nothing_to_sign", "Only webhooks have a signing secret.")
            secrets = self._vault.open(row["secrets"]) or {"hidden": {}, "signing": []}
            until = to_rfc3339(now + keep)
            former = [
                {"secret": one["secret"], "until": min(one["until"] or until, until)}
                for one in secrets["signing"]
                if one["until"] is None or one["until"] > to_rfc3339(now)
            ]
            sealed = self._vault.seal({**secrets, "signing": [{"secret": chosen, "until": None}, *former]})
            stored = stored_of(row)
            new = NewDestination(id_, stored.name, stored.kind, stored.spec, sealed, stored.state)
            await repository.update(new, now)
        return chosen, now + keep

    async def test(self, id_: UUID) -> dict[str, Any]:
        """Send a test event now and return the attempt, whatever came of it."""
        delivery, claim, now = uuid4(), uuid4(), self._clock()
        event = (f"test:{delivery}", DELIVERY_TEST, to_rfc3339(now))
        data = {**next(iter(schemas.examples(QUALIFIED).values())), "test": True}
        value = encode(data)
        async with self._pool.acquire() as conn, conn.transaction():
            repository = DestinationRepository(conn)
            stored = stored_of(found(await repository.one(id_)))
            until = now + TEST_LEASE
            await repository.insert_test(delivery, id_, event, value, claim=claim, until=until)
        parcel = Parcel(delivery, *event, value, data, now)
        channel = self._channels.open(stored)
        try:
            outcome = await make_attempt(channel, Claimed(id_, parcel, claim, until, 0, 0, None), self._clock, 0.0)
        finally:
            await channel.aclose()
        await record(self._pool, self._settings, [outcome], self._clock())
        assert outcome.attempt is not None
        async with self._pool.acquire() as conn:
            row = await DestinationRepository(conn).attempt(outcome.attempt.id)
        return attempt_view(found(row))

    async def redeliver(self, attempt_id: UUID) -> dict[str, Any]:
        """Deliver what an attempt was about once more, under the same webhook id."""
        async with self._pool.acquire() as conn, conn.transaction():
            repository = DestinationRepository(conn)
            attempt = await repository.attempt(attempt_id)
            if attempt is None:
                raise ProblemError(404, "attempt_not_found", "There is no attempt with this id.")
            destination = found(await repository.one(attempt["destination_id"]))
            if destination["state"] != "active":
                raise ProblemError(409, "destination_disabled", "The destination is disabled; enable it first.")
            await repository.redeliver(attempt["delivery_id"], self._clock())
        id_ = attempt["delivery_id"]
        return {
            "delivery_id": str(id_),
            "webhook_id": message_id(id_),
            "destination_id": str(attempt["destination_id"]),
            "state": "waiting",
        }

    def _read(self, body: Mapping[str, Any]) -> WebhookSpec | SlackSpec | MailSpec | FolderSpec:
        if faults := masked(body):
            raise _faulty(*faults)
        try:
            spec = read_spec(dict(body))
        except ValidationError as error:
            raise _faulty(*_faults(error)) from None
        if isinstance(spec, (WebhookSpec, SlackSpec)):
            try:
                self._channels.rules.target(spec.url)
            except AddressRefused as error:
                raise _faulty(FieldFault("/url", str(error)), code="address_refused") from None
        return spec


def found(row: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The row. Raises ProblemError 404 where there is none."""
    if row is None:
        raise ProblemError(404, "destination_not_found", "There is no destination with this id.")
    return row


def etag(row: Mapping[str, Any]) -> str:
    """The ETag of a destination."""
    return f'"{row["revision"]}"'


def check_match(row: Mapping[str, Any], if_match: str | None, *, required: bool = False) -> None:
    """Raises ProblemError 412 where the destination has changed since, 428 where nothing was said of that."""
    if if_match is None:
        if required:
            raise ProblemError(
                428, "precondition_required", "Send If-Match with the ETag of the destination you changed."
            )
        return
    known = [tag.strip() for tag in if_match.split(",")]
    if "*" not in known and etag(row) not in known:
        raise ProblemError(412, "precondition_failed", "The destination has changed meanwhile; read it again.")


def name_taken() -> ProblemError:
    """The answer to a name that another destination has."""
    return ProblemError(409, "name_taken", "Another destination has this name.", [FieldFault("/name", "is taken")])


def _faulty(*faults: FieldFault, code: str = "invalid_fields") -> ProblemError:
    detail = "Nothing is sent to this address." if code == "address_refused" else "Some fields are not as expected."
    return ProblemError(422, code, detail, faults)


def _faults(error: ValidationError) -> list[FieldFault]:
    """Without the kind that pydantic puts before each place."""
    faults = []
    for item in error.errors(include_input=False, include_url=False):
        steps = item["loc"][1:] if item["loc"][:1] and item["loc"][0] in KINDS else item["loc"]
        if item["type"].startswith("union_tag"):
            faults.append(FieldFault("/kind", f"expected one of {', '.join(KINDS)}"))
        else:
            faults.append(FieldFault(pointer(steps), item["msg"].removeprefix("Value error, ")))
    return faults
