"""Ingest as one would first write it: FastAPI, a pydantic model, and `send_and_wait` for each activity.

`python -m deploy.bench.naive.ingest PORT BOOTSTRAP_SERVERS TOPIC`
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field

PORT, BOOTSTRAP_SERVERS, TOPIC = int(sys.argv[1]), sys.argv[2], sys.argv[3]


class Lead(BaseModel):
    """Who did it."""

    model_config = ConfigDict(extra="forbid")

    email: str | None = None
    anonymous_id: str | None = None
    phone: str | None = None
    external_ids: dict[str, str] = Field(default_factory=dict)


class Activity(BaseModel):
    """An activity as posted."""

    model_config = ConfigDict(extra="forbid")

    id: str
    source: str = "api"
    type: str
    occurred_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    lead: Lead
    attributes: dict[str, Any] = Field(default_factory=dict)
    properties: dict[str, Any] = Field(default_factory=dict)
    consent: dict[str, bool] = Field(default_factory=dict)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One idempotent producer for the process."""
    producer = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP_SERVERS, acks="all", enable_idempotence=True)
    await producer.start()
    app.state.producer = producer
    yield
    await producer.stop()


app = FastAPI(lifespan=lifespan)


@app.post("/v1/activities", status_code=202)
async def post_activity(activity: Activity, request: Request) -> dict[str, Any]:
    """Take one activity; answered when Kafka has it."""
    key = activity.lead.email or activity.lead.anonymous_id or ""
    await request.app.state.producer.send_and_wait(TOPIC, activity.model_dump_json().encode(), key=key.encode())
    return {"accepted": 1, "ids": [activity.id]}


if __name__ == "__main__":
    uvicorn.run(app, port=PORT, loop="uvloop", http="httptools", access_log=False, log_level="warning")
