"""Destinations and attempts as the API shows them: never with a secret, except the one that was just made."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field

from services.handoff.core.delivery import message_id
from services.handoff.core.destination import MASK
from services.handoff.destinations.posting import host_of, without_query
from shared.clock import to_rfc3339

AT = "2026-11-20T01:15:00.000000Z"
DESTINATION: dict[str, Any] = {
    "id": "0f0e4a1e-7d1c-4a58-8f6e-0a5b1f2a6a11",
    "kind": "webhook",
    "name": "crm",
    "state": "active",
    "events": ["lead.qualified.v1"],
    "rules": None,
    "queues": None,
    "url": "https://crm.example.com/kizashi",
    "headers": {"Authorization": MASK},
    "signing": [{"until": None}],
    "disabled": None,
    "failing_since": None,
    "waiting": 0,
    "created_at": AT,
    "updated_at": AT,
}
ATTEMPT: dict[str, Any] = {
    "id": "5b0e4a1e-7d1c-4a58-8f6e-0a5b1f2a6a12",
    "destination_id": DESTINATION["id"],
    "delivery_id": "8a0b4c1e-4d0f-5f59-9a35-0a5b1f2a6a11",
    "webhook_id": "msg_8a0b4c1e4d0f5f599a350a5b1f2a6a11",
    "delivery_state": "delivered",
    "event": {"id": "6f1d9c52-0f0c-8f4e-b1f3-2b6f5d0c7e21:hot:1", "type": "lead.qualified.v1"},
    "lead_id": "6f1d9c52-0f0c-8f4e-b1f3-2b6f5d0c7e21",
    "number": 1,
    "at": AT,
    "took_ms": 87,
    "outcome": "delivered",
    "problem": None,
    "request": {"method": "POST", "url": "https://crm.example.com/kizashi", "headers": {}, "body": "{…}"},
    "response": {"status": 204, "headers": {}, "body": "", "cut": False},
}


class DestinationView(BaseModel):
    """A destination; beside these fields those of its kind. `waiting` deliveries are still to be made."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": DESTINATION})

    id: str
    kind: Literal["webhook", "mail", "slack", "folder"]
    name: str
    state: Literal["active", "disabled"]
    events: list[str]
    rules: list[str] | None = None
    queues: list[str] | None = None
    disabled: dict[str, Any] | None = Field(default=None, description="`reason` (asked, gone, failing) and `at`.")
    failing_since: datetime | None = None
    waiting: int
    created_at: datetime
    updated_at: datetime


class DestinationMade(DestinationView):
    """A destination just made; `secret` is shown this once."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": {**DESTINATION, "secret": "whsec_…"}})

    secret: str | None = Field(default=None, description="What a webhook's receiver verifies with.")


class DestinationPage(BaseModel):
    """A page of destinations."""

    model_config = ConfigDict(json_schema_extra={"example": {"items": [DESTINATION]}})

    items: list[DestinationView]


class AttemptView(BaseModel):
    """One attempt at a delivery, with what was sent and what was answered; bounded, secrets masked."""

    model_config = ConfigDict(json_schema_extra={"example": ATTEMPT})

    id: str
    destination_id: str
    delivery_id: str
    webhook_id: str = Field(description="The id that all attempts of the delivery share.")
    delivery_state: Literal["waiting", "collected", "delivered", "failed", "skipped"]
    event: dict[str, str]
    lead_id: str
    number: int
    at: datetime
    took_ms: int
    outcome: Literal["delivered", "failed", "skipped"] = Field(
        description="`skipped`: there was nobody to send it to; `problem` says why."
    )
    problem: str | None = None
    request: dict[str, Any]
    response: dict[str, Any] | None = None


class AttemptPage(BaseModel):
    """A page of attempts, the latest first."""

    model_config = ConfigDict(json_schema_extra={"example": {"items": [ATTEMPT]}})

    items: list[AttemptView]


class RotatedView(BaseModel):
    """The new signing secret, shown this once; until `former_until` deliveries carry the former one's signature too."""

    secret: str
    former_until: datetime


def destination_view(row: Mapping[str, Any], secrets: Mapping[str, Any] | None, waiting: int = 0) -> dict[str, Any]:
    """A row of `destination`; `secrets` None where they cannot be opened."""
    spec = orjson.loads(row["spec"])
    disabled = {"reason": row["reason"], "at": _at(row["disabled_at"])} if row["state"] == "disabled" else None
    return {
        "id": str(row["id"]),
        **spec,
        **_of_kind(spec, secrets or {"hidden": {}, "signing": []}),
        "state": row["state"],
        "disabled": disabled,
        "failing_since": _at(row["failing_since"]),
        "waiting": waiting,
        "created_at": _at(row["created_at"]),
        "updated_at": _at(row["updated_at"]),
    }


def _of_kind(spec: Mapping[str, Any], secrets: Mapping[str, Any]) -> dict[str, Any]:
    hidden = secrets["hidden"]
    if spec["kind"] == "slack":
        return {"url": host_of(hidden["url"]) if "url" in hidden else MASK}
    if spec["kind"] == "webhook":
        return {
            "url": without_query(spec["url"]),
            "headers": dict.fromkeys(hidden.get("headers", {}), MASK),
            "signing": [{"until": one["until"]} for one in secrets["signing"]],
        }
    return {}


def attempt_view(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `attempt` with its delivery."""
    response = row["response"]
    return {
        "id": str(row["id"]),
        "destination_id": str(row["destination_id"]),
        "delivery_id": str(row["delivery_id"]),
        "webhook_id": message_id(UUID(str(row["delivery_id"]))),
        "delivery_state": row["delivery_state"],
        "event": {"id": row["event_id"], "type": row["event_type"]},
        "lead_id": row["lead_id"],
        "number": row["number"],
        "at": _at(row["at"]),
        "took_ms": row["took_ms"],
        "outcome": row["outcome"],
        "problem": row["problem"],
        "request": orjson.loads(row["request"]),
        "response": None if response is None else orjson.loads(response),
    }


def _at(instant: datetime | None) -> str | None:
    return None if instant is None else to_rfc3339(instant)
