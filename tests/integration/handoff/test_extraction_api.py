"""Runs, lists and assignments over HTTP: the service as a process, with its own timers and the real clock."""

import asyncio
import csv
import io
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx2
import orjson
import pytest

from services.handoff.tables import SCHEMA
from shared.clock import to_rfc3339
from shared.migrate import upgrade
from shared.settings import DatabaseSettings
from tests.integration.handoff.desk import MIGRATIONS
from tests.integration.handoff.service import Stack
from tests.unit.handoff.builders import body

PERSON = {"name": "山田 太郎", "company": "=HYPERLINK(1)"}
RULES = """
queues: {{desk: {{members: [{{name: sato}}, {{name: suzuki}}], respond_within: 4h}}}}
rules:
  - id: weekly
    enter: 50
    to: desk
    when: {{every: "{every}", timezone: UTC}}
    require: {{all: [{{field: attributes.test, equals: "{test}"}}]}}
"""


@pytest.fixture
async def leads(stack: Stack) -> list[str]:
    """Three leads that crossed just before a run whose time came while nobody was there."""
    at = datetime.now(UTC).replace(second=0, microsecond=0)
    test = uuid.uuid4().hex  # the topic holds the leads of other tests too
    stack.write_rules(RULES.format(every=f"MON-SUN {at:%H:%M}", test=test))
    await upgrade(DatabaseSettings(url=stack.database), MIGRATIONS, SCHEMA)
    conn = await asyncpg.connect(stack.database)
    await conn.execute("INSERT INTO handoff.schedule_mark VALUES ('weekly', $1)", at - timedelta(hours=1))
    await conn.close()
    named = [str(uuid.uuid4()) for _ in range(3)]
    published = [
        body(
            52,
            lead_id=lead,
            evaluated_at=to_rfc3339(at - timedelta(seconds=9 - number)),
            attributes={**PERSON, "test": test},
        )
        for number, lead in enumerate(named)
    ]
    await stack.write([(one["lead_id"], orjson.dumps(one)) for one in published])
    stack.start()
    await stack.ready()
    await stack.drained()
    return named


def rows_of(answer: httpx2.Response, encoding: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.content.decode(encoding))))


async def test_lists_runs_and_assignments(stack: Stack, leads: list[str]) -> None:
    await check_lists(stack, leads)
    await stack.until(lambda: [run["state"] for run in runs_of(stack)] == ["completed"])
    (run,) = runs_of(stack)
    assert (run["count"], run["rule"]) == (3, "weekly")
    await stack.drained()
    records = await stack.read("qualified-leads", dict.fromkeys(leads))
    assert sorted(record["key"] for record in records) == sorted(leads)
    assert {record["value"]["handoff"]["extraction"] for record in records} == {run["id"]}
    assert {record["value"]["handoff"]["owner"] for record in records} <= {"sato", "suzuki"}
    rows = rows_of(stack.request("GET", f"/v1/extractions/{run['id']}.csv"), "utf-8-sig")
    assert [row["lead_id"] for row in rows] == leads
    assert {row["handoff_id"] for row in rows} == {record["value"]["handoff"]["id"] for record in records}
    await asyncio.to_thread(check_assignments, stack, records[0]["value"])


def runs_of(stack: Stack) -> list[dict[str, Any]]:
    items = stack.request("GET", "/v1/extractions?rule=weekly").json()["items"]
    return [item for item in items if item["kind"] == "records"]


async def check_lists(stack: Stack, leads: list[str]) -> None:
    path = "/v1/extractions/weekly/run"
    listed = stack.request("POST", path, "writer", {"key": "monday"})
    assert (listed.status_code, listed.json()["count"], listed.json()["kind"]) == (200, 3, "list")
    again = stack.request("POST", path, "writer", {"key": "monday"})
    assert again.json() == listed.json()
    assert stack.request("POST", path, "writer").json()["id"] != listed.json()["id"]
    csv_path = f"/v1/extractions/{listed.json()['id']}.csv"
    answer = stack.request("GET", csv_path, "reader")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    assert answer.headers["content-type"].startswith("text/csv")
    assert sorted(row["lead_id"] for row in rows_of(answer, "utf-8-sig")) == sorted(leads)
    assert {(row["name"], row["company"]) for row in rows_of(answer, "utf-8-sig")} == {("山田 太郎", "'=HYPERLINK(1)")}
    assert stack.request("GET", csv_path, "reader").content == answer.content
    sjis = stack.request("GET", f"{csv_path}?encoding=cp932", "reader")
    assert rows_of(sjis, "cp932")[0]["name"] == "山田 太郎"
    refused = [
        stack.request("POST", "/v1/extractions/none/run", "writer"),
        stack.request("POST", path, "reader"),
        stack.request("POST", path, "writer", {"when": "now"}),
        stack.request("POST", path, "writer", {"key": "a\x00b"}),
        stack.request("GET", f"/v1/extractions/{uuid.uuid4()}.csv"),
        stack.request("GET", "/v1/extractions/x"),
        stack.request("GET", f"{csv_path}?encoding=ebcdic"),
        stack.request("GET", "/v1/extractions?after=zz"),
        stack.request("GET", "/v1/extractions?rules=weekly"),
        stack.request("GET", "/v1/handoffs?rule=weekly"),
    ]
    assert [answer.status_code for answer in refused] == [404, 403, 422, 422, 404, 404, 422, 422, 422, 422]
    assert refused[-1].json()["errors"] == [
        {"pointer": "/query/rule", "detail": "expected one of after, lead, limit, queue, state"}
    ]
    assert refused[0].json()["code"] == "rule_not_found"
    page = stack.request("GET", "/v1/extractions?limit=1", "reader")
    assert len(page.json()["items"]) == 1
    following = page.links["next"]["url"]
    rest = stack.request("GET", following[following.index("/v1") :], "reader").json()["items"]
    assert page.json()["items"][0]["id"] not in {item["id"] for item in rest}


def check_assignments(stack: Stack, event: dict[str, Any]) -> None:
    path = f"/v1/handoffs/{event['handoff']['id']}"
    shown = stack.request("GET", path, "reader").json()
    assert (shown["owner"], shown["state"], shown["mode"]) == (event["handoff"]["owner"], "qualified", "scheduled")
    given = stack.request("POST", f"{path}/assignment", "writer", {"owner": "tanaka", "reason": "knows them"}).json()
    assert (given["owner"], given["state"]) == ("tanaka", "assigned")
    assert {"event": "assignment", "owner": "tanaka", "reason": "knows them", "by": "writer"}.items() <= given[
        "history"
    ][-1].items()
    again = stack.request("POST", f"{path}/assignment", "writer", {"owner": "tanaka"}).json()
    assert again == given
    following = stack.request("POST", f"{path}/assignment", "writer", {}).json()
    assert following["owner"] in {"sato", "suzuki"} - {shown["owner"]}
    returned = stack.request("POST", f"{path}/assignment", "writer", {"owner": None, "by": "boss"}).json()
    assert (returned["owner"], returned["state"], returned["history"][-1]["by"]) == (None, "qualified", "boss")
    stack.request("POST", f"{path}/outcome", "writer", {"outcome": "rejected", "reason": "no"})
    refused = stack.request("POST", f"{path}/assignment", "writer", {"owner": "sato"})
    assert (refused.status_code, refused.json()["code"]) == (409, "illegal_step")
    assert stack.request("POST", f"/v1/handoffs/{uuid.uuid4()}/assignment", "writer", {}).status_code == 404
    assert stack.request("POST", f"{path}/assignment", "reader", {}).status_code == 403
