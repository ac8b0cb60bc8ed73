"""Destinations by HTTP, and a service that is killed with deliveries in hand."""

import asyncio
import json
import uuid
from typing import Any

import orjson
import pytest
from standardwebhooks.webhooks import Webhook

from tests.integration.handoff.service import Stack
from tests.integration.stand_in import StandIn, answer, hang, standing_in
from tests.unit.handoff.builders import body

WITHIN_S = 40.0


async def running(stack: Stack, receiver: StandIn, timeout_s: float = 15.0) -> None:
    stack.more = {
        "KIZASHI_IDENTITY_SECRET": "secret",
        "KIZASHI_OUTGOING__ALLOW": receiver.host,
        "KIZASHI_HANDOFF__DELIVERY_TIMEOUT_S": str(timeout_s),
    }
    stack.start()
    await stack.ready()


def make(stack: Stack, receiver: StandIn, **more: Any) -> dict[str, Any]:
    spec = {"kind": "webhook", "name": f"crm-{uuid.uuid4().hex[:8]}", "url": f"{receiver.url}/crm?token=t", **more}
    response = stack.request("POST", "/v1/destinations", "writer", spec)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def qualify(stack: Stack, count: int = 1) -> list[str]:
    leads = [str(uuid.uuid4()) for _ in range(count)]
    await stack.write([(lead, orjson.dumps(body(52, 1, lead_id=lead))) for lead in leads])
    return leads


def leads_of(receiver: StandIn) -> list[str]:
    return [json.loads(asked.body)["data"]["lead"]["id"] for asked in receiver.asked]


def ids_of(receiver: StandIn, lead: str) -> set[str]:
    return {
        asked.headers["webhook-id"] for asked, of in zip(receiver.asked, leads_of(receiver), strict=True) if of == lead
    }


async def test_a_destination_from_its_making_to_its_end(stack: Stack) -> None:
    async with standing_in(answer(204)) as receiver:
        await running(stack, receiver)
        made = make(stack, receiver, headers={"X-Key": "of-the-crm"})
        path, secret = f"/v1/destinations/{made['id']}", made["secret"]
        assert secret.startswith("whsec_")
        shown = stack.request("GET", path, "reader")
        assert secret not in shown.text
        assert "of-the-crm" not in shown.text
        assert shown.json()["url"].endswith("/crm?***")

        (lead,) = await qualify(stack)
        await stack.until(lambda: lead in leads_of(receiver))
        asked = receiver.asked[leads_of(receiver).index(lead)]
        assert Webhook(secret).verify(asked.body, asked.headers)["data"]["lead"]["id"] == lead
        await stack.until(lambda: bool(stack.request("GET", f"{path}/attempts", "reader").json()["items"]))
        (attempt, *_) = stack.request("GET", f"{path}/attempts?outcome=delivered", "reader").json()["items"]
        assert (attempt["webhook_id"], attempt["lead_id"]) == (asked.headers["webhook-id"], lead)
        again = stack.request("POST", f"/v1/attempts/{attempt['id']}/redeliver", "writer")
        assert (again.status_code, again.json()["webhook_id"]) == (202, attempt["webhook_id"])
        await stack.until(lambda: leads_of(receiver).count(lead) == 2)

        # In a thread: the receiver lives in this one.
        tested = (await asyncio.to_thread(stack.request, "POST", f"{path}/test", "writer")).json()
        assert (tested["outcome"], tested["event"]["type"]) == ("delivered", "handoff.delivery-test.v1")
        patch(stack, path, shown.headers["etag"])
        rotated = stack.request("POST", f"{path}/rotate", "writer", {"keep_former_for": "1h"}).json()
        assert rotated["secret"] != secret
        assert [item["name"] for item in stack.request("GET", "/v1/destinations", "reader").json()["items"]] == ["new"]
        assert stack.request("DELETE", path, "writer").status_code == 204
        assert stack.request("GET", path, "reader").status_code == 404
        log = (stack.folder / "service.log").read_text()
        assert all(word not in log for word in (secret, "of-the-crm", "token=t", "taro@example.co.jp"))


def patch(stack: Stack, path: str, etag: str) -> None:
    def status(tag: str | None, change: Any) -> tuple[int, str]:
        response = stack.request("PATCH", path, "writer", change, {"If-Match": tag} if tag else {})
        return response.status_code, response.json().get("code", "")

    assert status(None, {"name": "new"}) == (428, "precondition_required")
    assert status('"77"', {"name": "new"}) == (412, "precondition_failed")
    assert status(etag, {"kind": "mail"}) == (422, "invalid_fields")
    assert status(etag, {"url": "https://169.254.169.254/"}) == (422, "address_refused")
    assert status(etag, {"name": "new"}) == (200, "")
    assert status(etag, {"name": "newer"}) == (412, "precondition_failed")


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"kind": "pigeon", "name": "x"}, "invalid_fields", "/kind"),
    ({"kind": "webhook", "name": "x"}, "invalid_fields", "/url"),
    ({"kind": "webhook", "name": "x", "url": "http://127.0.0.1/"}, "address_refused", "/url"),
    ({"kind": "webhook", "name": "x", "url": "https://e.com", "events": ["x"]}, "invalid_fields", "/events/0"),
    ({"kind": "mail", "name": "x", "to": ["nobody"]}, "invalid_fields", "/to/0"),
    ({"kind": "folder", "name": "x", "folder": "../x"}, "invalid_fields", "/folder"),
    ({"kind": "webhook", "name": "x", "url": "https://e.com", "colour": 1}, "invalid_fields", "/colour"),
]


async def test_bad_requests_are_told_where(stack: Stack) -> None:
    async with standing_in(answer(204)) as receiver:
        await running(stack, receiver)
        for spec, code, pointer in BAD:
            response = stack.request("POST", "/v1/destinations", "writer", spec)
            assert (response.status_code, response.json()["code"]) == (422, code), spec
            assert response.json()["errors"][0]["pointer"] == pointer
        made = make(stack, receiver, name="taken")
        spec = {"kind": "mail", "name": "taken", "to": ["sato@example.co.jp"]}
        assert stack.request("POST", "/v1/destinations", "writer", spec).json()["code"] == "name_taken"
        assert stack.request("POST", "/v1/destinations", "reader", spec).status_code == 403
        assert stack.request("GET", "/v1/destinations", None).status_code == 401
        for place in ("x", f"{uuid.uuid4()}", f"{uuid.uuid4()}/attempts"):
            assert stack.request("GET", f"/v1/destinations/{place}", "reader").status_code == 404
        assert stack.request("POST", f"/v1/attempts/{uuid.uuid4()}/redeliver", "writer").status_code == 404
        rotate = f"/v1/destinations/{made['id']}/rotate"
        assert stack.request("POST", rotate, "writer", {"secret": "x"}).status_code == 422
        long = stack.request("POST", rotate, "writer", {"keep_former_for": "36525d"})
        assert (long.status_code, long.json()["errors"]) == (
            422,
            [{"pointer": "/keep_former_for", "detail": "expected a span of 7d at most"}],
        )
        assert stack.request("POST", rotate, "writer", {"keep_former_for": "soon"}).status_code == 422
        assert stack.request("POST", rotate, "writer", {"keep_former_for": "7d"}).status_code == 200
        assert stack.request("POST", rotate, "writer").status_code == 200


async def test_killed_between_sending_and_writing_down_it_is_delivered_again_under_the_same_id(stack: Stack) -> None:
    async with standing_in(hang) as receiver:
        await running(stack, receiver, timeout_s=2.0)
        make(stack, receiver)
        (lead,) = await qualify(stack)
        await stack.until(lambda: lead in leads_of(receiver))
        stack.processes[-1].kill()
        stack.processes[-1].wait()
        receiver.plan[:] = [answer(204)]
        stack.start()
        await stack.ready()
        await stack.until(lambda: leads_of(receiver).count(lead) >= 2, WITHIN_S)
    assert len(ids_of(receiver, lead)) == 1


@pytest.mark.long
async def test_killed_again_and_again_every_lead_is_delivered_and_none_as_two(stack: Stack) -> None:
    async with standing_in(answer(204)) as receiver:
        await running(stack, receiver)
        make(stack, receiver)
        leads: list[str] = []
        for _ in range(8):
            leads += await qualify(stack, 100)
            await stack.until(lambda: len(receiver.asked) > 0)
            await asyncio.to_thread(stack.processes[-1].kill)
            stack.processes[-1].wait()
            stack.start()
            await stack.ready()
        await stack.until(lambda: set(leads) <= set(leads_of(receiver)), 120)
    assert [len(ids_of(receiver, lead)) for lead in leads] == [1] * len(leads)
