"""Leads collected over a week go to sales on Friday at nine: what each of those involved sees, day by day."""

import csv
import email
import io
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local.stack import Stack
from shared.clock import from_rfc3339, system_clock, to_rfc3339
from shared.codec import encode
from shared.documents import read_document
from tests.e2e.calendar import Calendar, before, stack_at
from tests.e2e.client import Client, wait_for
from tests.e2e.faults import kill

TOKYO = ZoneInfo("Asia/Tokyo")
SEMINAR = "セミナー参加"
WEEKLY = {
    "id": "weekly", "enter": 50, "to": "inside-sales", "cools_within": "7d",
    "when": {"every": "FRI 09:00", "timezone": "Asia/Tokyo", "country": "JP", "if_holiday": "previous_business_day"},
}  # fmt: skip
PEOPLE = {"taro": "山田 太郎", "hana": "髙橋 花", "jiro": "鈴木 次郎"}


@dataclass
class Mailbox:
    """What the desk's mail server took."""

    mails: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd calls it so
        assert isinstance(envelope.content, bytes)
        self.mails.append(email.message_from_bytes(envelope.content, policy=default))
        return "250 OK"


@pytest.fixture(scope="module")
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    box = Mailbox()
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    yield box, port
    server.stop()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped configuration with one rule, on Fridays, and one reason in the words of the people who read it."""
    folder = tmp_path_factory.mktemp("friday") / "config"
    shutil.copytree("config", folder)
    tree = read_document((folder / "handoff.yaml").read_text(encoding="utf-8")).tree
    (folder / "handoff.yaml").write_bytes(encode({**tree, "rules": [WEEKLY]}))  # JSON is YAML
    tree = read_document((folder / "scoring.yaml").read_text(encoding="utf-8")).tree
    (seminar,) = [one for one in tree["engagement"]["rules"] if one["id"] == "seminar-attended"]
    seminar |= {"id": SEMINAR, "decay": {"window": "10d"}}
    (folder / "scoring.yaml").write_bytes(encode({**tree, "forecast": True}))
    return folder


def schedule(config: Path, *options: str) -> str:
    now = system_clock()
    span = ("--from", to_rfc3339(before(now, days=40)), "--to", to_rfc3339(before(now, days=2)))
    command = (sys.executable, "-m", "deploy.cli.main", "schedule", "--config-dir", str(config), *span, *options)
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode()


@pytest.fixture(scope="module")
def run(config: Path) -> dict[str, Any]:
    """A run of the last weeks, as `kizashi schedule` tells it."""
    last = schedule(config, "--json").splitlines()[-1]
    found: dict[str, Any] = json.loads(last)
    return {**found, "at": datetime.fromisoformat(found["at"])}


@pytest.fixture(scope="module")
def week(
    run: dict[str, Any], config: Path, mailbox: tuple[Mailbox, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Stack, Calendar]]:
    folder = tmp_path_factory.mktemp("week")
    # PostgreSQL does not run as root and has to pass through.
    for parent in (folder, folder.parent, folder.parent.parent):
        parent.chmod(0o711)
    smtp = {"HOST": "127.0.0.1", "PORT": str(mailbox[1]), "SECURITY": "none", "SENDER": "leads@example.co.jp"}
    env = {f"KIZASHI_SMTP__{name}": value for name, value in smtp.items()}
    with stack_at(before(run["at"], days=3), folder, config, env) as started:
        yield started


class Week:
    """What the people of this week do and look at."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def attend(self, who: str, *numbers: int) -> None:
        for number in numbers:
            self._post(who, number, "seminar_attended", properties={"event": f"seminar-{number}"})

    def unsubscribe(self, who: str) -> None:
        self._post(who, 99, "email_unsubscribed")

    def _post(self, who: str, number: int, type_: str, **more: Any) -> None:
        attributes = {"name": PEOPLE[who], "company": f"{who}商事㈱"}
        self.client.post(
            {
                "id": f"{who}-{number}",
                "type": type_,
                "lead": {"email": self.email(who)},
                "attributes": attributes,
                **more,
            }
        )

    @staticmethod
    def email(who: str) -> str:
        return f"{who}@example.co.jp"

    def lead(self, who: str, score: float) -> dict[str, Any]:
        return wait_for(lambda: (one := self.client.lead(self.email(who))) and one["score"] == score and one)

    def handoff(self, who: str, state: str = "qualified") -> dict[str, Any]:
        lead = wait_for(lambda: self.client.lead(self.email(who)))
        return wait_for(lambda: [one for one in self.client.handoffs(lead["id"]) if one["state"] == state])[0]

    def runs(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.client.http.get(self.client.url("handoff", "/v1/extractions")).json()[
            "items"
        ]
        return items

    def completed(self) -> dict[str, Any]:
        return wait_for(
            lambda: [one for one in self.runs() if (one["kind"], one["state"]) == ("records", "completed")]
        )[0]

    def file(self, extraction: dict[str, Any], encoding: str = "utf-8-sig") -> bytes:
        url = self.client.url("handoff", f"/v1/extractions/{extraction['id']}.csv")
        answer = self.client.http.get(url, params={"encoding": encoding})
        assert answer.status_code == 200, answer.text
        assert "attachment" in answer.headers["content-disposition"]
        return bytes(answer.content)

    def hot_now(self, key: str) -> dict[str, Any]:
        answer = self.client.http.post(self.client.url("handoff", "/v1/extractions/weekly/run"), json={"key": key})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def rows(content: bytes, codec: str = "utf-8-sig") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(codec), newline="")))


def test_what_crossed_during_the_week_is_handed_over_on_friday(
    run: dict[str, Any], config: Path, week: tuple[Stack, Calendar], mailbox: tuple[Mailbox, int]
) -> None:
    (stack, calendar), (box, _), friday = week, mailbox, run["at"]
    assert run["key"] in {f"weekly/{friday - timedelta(days=back):%Y-%m-%d}T09:00" for back in range(5)}
    assert f"{friday.isoformat()}  {friday:%a}  weekly" in schedule(config)
    with Client(stack) as client:
        people = Week(client)
        spec = {"kind": "mail", "name": "desk", "to": ["desk@example.co.jp"], "digest": True}
        assert client.http.post(client.url("handoff", "/v1/destinations"), json=spec).status_code == 201
        _collect(people, calendar, friday)
        assert client.read("qualified-leads") == []
        assert box.mails == []

        hot = people.hot_now("thursday")
        assert [one["name"] for one in rows(people.file(hot))] != []
        assert {one["email"] for one in rows(people.file(hot))} == {people.email("taro"), people.email("hana")}
        assert people.hot_now("thursday") == hot
        assert people.handoff("taro")["handed_over_at"] is None

        calendar.put(before(friday, seconds=2))
        _handed_over(people, people.completed(), friday)
        _mailed(wait_for(lambda: box.mails), friday)
        _stays(people, stack, calendar, friday)
        assert len(box.mails) == 1


def _collect(people: Week, calendar: Calendar, friday: datetime) -> None:
    """Three cross the threshold on three days; each waits, and one cools before its turn."""
    for days, who in ((3, "taro"), (2, "hana"), (1, "jiro")):
        calendar.put(before(friday, days=days))
        people.attend(who, 1, 2, 3, 4, 5)
        waiting = people.handoff(who)
        assert (waiting["mode"], waiting["handed_over_at"], waiting["owner"]) == ("scheduled", None, None)
        assert from_rfc3339(waiting["crossed_at"]).astimezone(TOKYO).date() == before(friday, days=days).date()
    people.unsubscribe("jiro")
    people.lead("jiro", 35)


def _handed_over(people: Week, done: dict[str, Any], friday: datetime) -> None:
    """One record a lead, the same leads in the file, and the one that had cooled in neither."""
    assert (done["count"], done["lapsed"], from_rfc3339(done["at"])) == (2, 1, friday)
    assert people.handoff("jiro", "lapsed")["handed_over_at"] is None
    content = people.file(done)
    assert content.startswith("\ufeff".encode())
    listed = rows(content)
    assert [one["name"] for one in listed] == [PEOPLE["taro"], PEOPLE["hana"]]
    assert [one["reasons"] for one in listed] == [f"{SEMINAR} 50.0"] * 2
    assert (listed[0]["queue"], listed[0]["owner"], listed[0]["company"]) == ("inside-sales", "sato", "taro商事㈱")
    assert rows(people.file(done, "cp932"), "cp932") == listed
    records = people.client.read("qualified-leads")
    assert sorted(one["handoff"]["id"] for one in records) == sorted(one["handoff_id"] for one in listed)
    assert {one["handoff"]["extraction"] for one in records} == {done["id"]}
    assert {one["handoff"]["mode"] for one in records} == {"scheduled"}
    # Four business hours from nine o'clock, over the morning of the same day.
    due = from_rfc3339(people.handoff("taro")["respond_by"]).astimezone(TOKYO)
    assert (due.date(), due.hour) == (friday.date(), 13)


def _mailed(mails: list[EmailMessage], friday: datetime) -> None:
    (mail,) = mails
    assert mail["Subject"].replace("\xa0", " ").startswith(f"有望リード 2件：weekly、{friday.year}年{friday.month}月")
    plain = mail.get_body(("plain",))
    assert plain is not None
    text = plain.get_content()
    assert text.count(SEMINAR) == 2
    assert PEOPLE["taro"] in text
    assert PEOPLE["jiro"] not in text


def _stays(people: Week, stack: Stack, calendar: Calendar, friday: datetime) -> None:
    """Sales answers; the service dies and comes back later that day: the same run with the same rows, and no other."""
    before_it, first = people.file(done := people.completed()), stack.process("handoff").pid
    taken = people.client.answer(people.handoff("taro")["id"], outcome="accepted", by="sato")
    assert taken.json()["state"] == "accepted"
    calendar.put(friday + timedelta(hours=1))
    kill(stack, "handoff")
    wait_for(lambda: stack.process("handoff").pid not in (None, first) and _answers(people.client))
    assert people.file(done) == before_it
    assert [one["id"] for one in people.runs() if one["kind"] == "records"] == [done["id"]]
    assert len(people.client.read("qualified-leads")) == 2
    _cooling(people, friday)
    calendar.put(friday + timedelta(hours=4))
    _overdue(people, friday)


def _cooling(people: Week, friday: datetime) -> None:
    """Seminars count for ten days: a week before the first of the leads cools, the desk is told, of this one alone."""

    def told() -> list[dict[str, Any]]:
        return [one for one in people.client.read("lead-lifecycle") if "cools_at" in one]

    (event,) = wait_for(told)
    assert event["lead_id"] == people.lead("taro", 50)["id"]
    assert from_rfc3339(event["cools_at"]) - from_rfc3339(event["at"]) == timedelta(days=7)
    assert from_rfc3339(event["at"]).astimezone(TOKYO).date() == friday.date()


def _overdue(people: Week, friday: datetime) -> None:
    """Nobody has answered for one of them: the deadline set before the service died is kept by the next process."""
    left = people.handoff("hana")["id"]

    def told() -> list[dict[str, Any]]:
        return [one for one in people.client.read("lead-lifecycle") if "breach" in one]

    (event,) = wait_for(told)
    assert (event["handoff_id"], event["breach"], event["action"]) == (left, 1, "reminded")
    assert timedelta() <= from_rfc3339(event["due_at"]) - (friday + timedelta(hours=4)) < timedelta(minutes=1)
    shown = people.client.http.get(people.client.url("handoff", f"/v1/handoffs/{left}")).json()
    assert [one["event"] for one in shown["history"]][-1] == "breach"


def _answers(client: Client) -> bool:
    try:
        return client.http.get(client.url("handoff", "/readyz")).is_success
    except httpx2.TransportError:  # killed, and not back yet
        return False
