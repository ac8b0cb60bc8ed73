"""Mail on a real SMTP server, Slack-compatible chats, CSV folders: one lead, or a run as one."""

import asyncio
import csv
import email
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from services.handoff.settings import SmtpSection
from shared.events import EXTRACTION_COMPLETED, HANDOFF_OVERDUE
from shared.kafka.records import Record
from tests.integration.handoff.post_office import LEAD, PostOffice, open_post_office, qualified, record
from tests.integration.stand_in import answer, standing_in

RUN_ID = "1f6e0a57-5f0a-5b8c-8c1c-6c1f0e7a9b21"


class Mailbox:
    """What a mail server took; `refuses` is what it answers instead."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], EmailMessage]] = []
        self.refuses: str | None = None

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd calls it so
        if self.refuses is not None:
            return self.refuses
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append((envelope.rcpt_tos, email.message_from_bytes(content, policy=default)))
        return "250 OK"


@pytest.fixture
async def mailbox() -> AsyncIterator[tuple[Mailbox, SmtpSection]]:
    box = Mailbox()
    servers: list[SMTP] = []

    def serve() -> SMTP:
        servers.append(SMTP(box, hostname="test"))
        return servers[-1]

    server = await asyncio.get_running_loop().create_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield box, SmtpSection(host="127.0.0.1", port=port, security="none", sender="leads@example.co.jp")
    server.close()
    for one in servers:
        if isinstance(one.transport, asyncio.Transport):
            one.transport.abort()
    await server.wait_closed()


@asynccontextmanager
async def opened(
    migrated: str, folder: Path, allow: str = "", smtp: SmtpSection | None = None
) -> AsyncIterator[PostOffice]:
    office = await open_post_office(migrated, folder, allow, smtp)
    async with office.sending():
        yield office
    await office.pool.close()


def collected(number: int, **attributes: Any) -> Record:
    lead = {**LEAD["lead"], "attributes": {**LEAD["lead"]["attributes"], **attributes}}
    data = {**LEAD, "lead": {**lead, "id": f"lead-{number}"}, "rule": "weekly"}
    data["handoff"] = {**LEAD["handoff"], "mode": "scheduled", "extraction": RUN_ID}
    return record("qualified-leads", "lead.qualified.v1", f"lead-{number}:weekly:1", f"lead-{number}", data)


def completed(count: int) -> Record:
    data = {"extraction_id": RUN_ID, "rule": "weekly", "run": "weekly/2026-11-27T09:00", "kind": "records",
            "queue": "inside-sales", "count": count, "at": "2026-11-27T00:00:03.000000Z"}  # fmt: skip
    return record("lead-lifecycle", EXTRACTION_COMPLETED, f"{RUN_ID}:completed", RUN_ID, data)


async def test_a_lead_by_mail_plain_and_html_in_japanese(
    migrated: str, tmp_path: Path, mailbox: tuple[Mailbox, SmtpSection]
) -> None:
    box, smtp = mailbox
    async with opened(migrated, tmp_path, smtp=smtp) as office:
        id_ = await office.make(kind="mail", name="desk", to=["desk@example.co.jp", "boss@example.co.jp"])
        await office.publish(qualified())
        (attempt,) = await office.until_attempts(id_, 1)
    ((readers, mail),) = box.mails
    assert readers == ["desk@example.co.jp", "boss@example.co.jp"]
    assert mail["Subject"].replace("\xa0", " ") == "有望リード：株式会社サンプル 山田 太郎（hot、52点）"
    assert mail["Message-ID"] == f"<msg_{attempt['delivery_id'].hex}@example.co.jp>"
    plain, rich = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert rich is not None
    assert "- seminar-attended: 32点 (4回)" in plain.get_content()
    assert '<html lang="ja">' in rich.get_content()
    assert attempt["outcome"] == "delivered"
    assert attempt["request"]["to"] == ["desk@example.co.jp", "boss@example.co.jp"]


@pytest.mark.parametrize(("reply", "outcome"), [("451 later", "answered 451"), ("550 never", "answered 550")])
async def test_a_mail_server_that_refuses_is_asked_again(
    migrated: str, tmp_path: Path, mailbox: tuple[Mailbox, SmtpSection], reply: str, outcome: str
) -> None:
    box, smtp = mailbox
    box.refuses = reply
    async with opened(migrated, tmp_path, smtp=smtp) as office:
        id_ = await office.make(kind="mail", name="desk", to=["desk@example.co.jp"], language="en")
        await office.publish(qualified())
        (attempt,) = await office.until_attempts(id_, 1)
        assert outcome in attempt["problem"]
        assert await office.states(id_) == ["waiting"]


async def test_without_a_mail_server_it_says_so(migrated: str, tmp_path: Path) -> None:
    async with opened(migrated, tmp_path) as office:
        id_ = await office.make(kind="mail", name="desk", to=["desk@example.co.jp"])
        await office.publish(qualified())
        (attempt,) = await office.until_attempts(id_, 1)
        assert "KIZASHI_SMTP__HOST" in attempt["problem"]


async def test_reminders_go_to_owner_and_head(
    migrated: str, tmp_path: Path, mailbox: tuple[Mailbox, SmtpSection]
) -> None:
    box, smtp = mailbox
    overdue = {"handoff_id": "h", "lead_id": "l", "rule": "hot", "queue": "inside-sales", "owner": "sato",
               "head": "kato", "breach": 1, "which": "respond", "due_at": "2026-11-20T01:15:00Z",
               "action": "reminded", "new_owner": None, "at": "2026-11-20T01:16:00Z"}  # fmt: skip
    async with opened(migrated, tmp_path, smtp=smtp) as office:
        id_ = await office.make(
            kind="mail", name="desk", to=["desk@example.co.jp"], to_owner=True, events=[HANDOFF_OVERDUE]
        )
        await office.publish(record("lead-lifecycle", HANDOFF_OVERDUE, "h:overdue:1", "l", overdue))
        await office.publish(
            record("lead-lifecycle", HANDOFF_OVERDUE, "h:overdue:2", "l", {**overdue, "owner": "x", "head": None})
        )
        await office.settled(id_, "delivered", "delivered")
    assert sorted(readers for readers, _ in box.mails) == [
        ["desk@example.co.jp"], ["sato@example.co.jp", "kato@example.co.jp"],
    ]  # fmt: skip
    assert all("期限超過" in mail["Subject"] for _, mail in box.mails)


@pytest.mark.parametrize("end_first", [False, True])
async def test_the_leads_of_a_run_come_as_one_mail(
    migrated: str, tmp_path: Path, mailbox: tuple[Mailbox, SmtpSection], end_first: bool
) -> None:
    box, smtp = mailbox
    async with opened(migrated, tmp_path, smtp=smtp) as office:
        id_ = await office.make(kind="mail", name="friday", to=["desk@example.co.jp"], digest=True)
        leads = [collected(number) for number in range(5)]
        if end_first:
            await office.publish(completed(5))
            await office.publish(*leads)
        else:
            await office.publish(*leads)
            assert await office.states(id_) == ["collected"] * 5
            await office.publish(completed(5))
        await office.settled(id_, *["delivered"] * 6)
    ((_, mail),) = box.mails
    assert mail["Subject"].replace("\xa0", " ") == "有望リード 5件：weekly、2026年11月27日 09:00（Asia/Tokyo）"
    plain = mail.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().count("taro.yamada@example.co.jp") == 5


async def test_a_chat_gets_a_text_and_its_address_stays_secret(migrated: str, tmp_path: Path) -> None:
    async with standing_in(answer(200, b"ok")) as chat, opened(migrated, tmp_path, chat.host) as office:
        url = f"{chat.url}/services/T000/B000/secret-token"
        id_ = await office.make(kind="slack", name="chat", url=url, language="en")
        await office.publish(qualified())
        (attempt,) = await office.until_attempts(id_, 1)
        stored = await office.pool.fetchrow("SELECT spec, secrets FROM handoff.destination")
    assert json.loads(chat.asked[0].body)["text"].startswith("*Qualified lead: 株式会社サンプル")
    assert "secret-token" not in json.dumps(attempt["request"])
    assert "secret-token" not in stored["spec"]
    assert b"secret-token" not in stored["secrets"]


@pytest.mark.parametrize(
    ("encoding", "codec", "mark"), [("utf-8", "utf-8-sig", b"\xef\xbb\xbf"), ("cp932", "cp932", b"")]
)
async def test_a_run_is_one_file_that_a_spreadsheet_opens(
    migrated: str, tmp_path: Path, encoding: str, codec: str, mark: bytes
) -> None:
    async with opened(migrated, tmp_path) as office:
        id_ = await office.make(kind="folder", name="files", folder="friday", encoding=encoding, digest=True)
        leads = [collected(number, name="=cmd|calc", company="髙橋〜商店") for number in range(1_203)]
        await office.publish(*leads, completed(1_203))
        await office.settled(id_, *["delivered"] * 1_204)
    (path,) = list((tmp_path / "exports" / "friday").iterdir())
    raw = path.read_bytes()
    assert raw.startswith(mark)
    rows = list(csv.DictReader(io.StringIO(raw.decode(codec), newline="")))
    assert len(rows) == len({row["lead_id"] for row in rows}) == 1_203
    assert rows[0]["name"] == "'=cmd|calc"


async def test_a_lead_in_a_folder_again_is_the_same_file(migrated: str, tmp_path: Path) -> None:
    async with opened(migrated, tmp_path) as office:
        id_ = await office.make(kind="folder", name="files", folder="leads")
        await office.publish(qualified(), qualified(2))
        attempts = await office.until_attempts(id_, 2)
        await office.settled(id_, "delivered", "delivered")
        await office.destinations.redeliver(UUID(str(attempts[0]["id"])))
        office.sender.try_now(id_)
        await office.until_attempts(id_, 3)
    assert len(list((tmp_path / "exports" / "leads").iterdir())) == 2


async def test_a_folder_that_cannot_be_written_is_tried_again(migrated: str, tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "leads").write_text("a file, not a folder")
    async with opened(migrated, tmp_path) as office:
        id_ = await office.make(kind="folder", name="files", folder="leads")
        await office.publish(qualified())
        (attempt,) = await office.until_attempts(id_, 1)
        assert "could not be written" in attempt["problem"]
        assert await office.states(id_) == ["waiting"]


async def test_a_test_mail_says_that_it_is_one(
    migrated: str, tmp_path: Path, mailbox: tuple[Mailbox, SmtpSection]
) -> None:
    box, smtp = mailbox
    async with opened(migrated, tmp_path, smtp=smtp) as office:
        id_ = await office.make(kind="mail", name="desk", to=["desk@example.co.jp"])
        assert (await office.destinations.test(id_))["outcome"] == "delivered"
    ((_, mail),) = box.mails
    assert mail["Subject"].startswith("【テスト】有望リード")


async def test_a_test_file_is_told_from_leads_by_its_name(migrated: str, tmp_path: Path) -> None:
    async with opened(migrated, tmp_path) as office:
        id_ = await office.make(kind="folder", name="files", folder="leads")
        await office.destinations.test(id_)
    (path,) = list((tmp_path / "exports" / "leads").iterdir())
    assert path.name.startswith("test-")


async def test_a_lead_that_is_nobodys_is_skipped_and_says_nothing_about_the_destination(
    migrated: str, tmp_path: Path, mailbox: tuple[Mailbox, SmtpSection]
) -> None:
    box, smtp = mailbox
    async with opened(migrated, tmp_path, smtp=smtp) as office:
        id_ = await office.make(kind="mail", name="owners", to_owner=True)
        nobodys = {**LEAD["handoff"], "owner": None}
        await office.publish(*(qualified(number, handoff=nobodys) for number in range(6)))
        attempts = await office.until_attempts(id_, 6)
        await office.settled(id_, *["skipped"] * 6)
        assert {attempt["outcome"] for attempt in attempts} == {"skipped"}
        assert "nobody to write to" in attempts[0]["problem"]
        assert await office.pool.fetchval("SELECT failing_since FROM handoff.destination") is None
        await office.publish(qualified(7, handoff={**nobodys, "owner": "sato"}))
        await office.settled(id_, "delivered", *["skipped"] * 6)
    assert [readers for readers, _ in box.mails] == [["sato@example.co.jp"]]
