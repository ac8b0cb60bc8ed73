"""Card lists over HTTP, into a real Kafka."""

import csv
import io
import json
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.ingest.uploads import MAX_FIELD_BYTES
from tests.conftest import KafkaServer
from tests.integration.ingest.process import IngestProcess, records_of, running_ingest

PATH = "/v1/imports/business-cards"
HEADER = "会社名,部署名,役職,氏名,e-mail,携帯電話,名刺交換日"
PEOPLE = (
    ("㈱サンプル", "製造部", "課長", "山田　太郎", "taro@example.co.jp", "０９０－１２３４－５６７８", "2026/05/27"),
    ("(有)テスト", "", "部長", "佐藤 花子 様", "info@example.jp", "", "令和8年5月27日"),
    ("", "", "", "", "", "", ""),
    ("サンプル", "", "", "", "", "", ""),
    ("サンプル", "", "", "鈴木 一郎", "", "", ""),
)


def card_list(encoding: str = "cp932") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([HEADER.split(","), *PEOPLE])
    return text.getvalue().encode(encoding)


def send(
    ingest: IngestProcess,
    data: bytes,
    accept: str = "",
    headers: Mapping[str, str] = {},
    **fields: str,
) -> httpx2.Response:
    sent = {"Authorization": f"Bearer {ingest.key}", **({"Accept": accept} if accept else {}), **headers}
    files = {"file": ("cards.csv", data, "text/csv")}
    return httpx2.post(f"{ingest.url}{PATH}", headers=sent, files=files, data=fields, timeout=60)


def told(answer: httpx2.Response) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    *records, last = [json.loads(line) for line in answer.text.splitlines()]
    return records, last["summary"]


def test_good_records_are_taken_and_bad_ones_reported(ingest: IngestProcess, topics: KafkaServer, source: str) -> None:
    answer = send(ingest, card_list(), source=source)
    assert (answer.status_code, answer.headers["content-type"]) == (202, "application/x-ndjson")
    records, summary = told(answer)
    assert [record["status"] for record in records] == ["accepted", "accepted", "empty", "refused", "accepted"]
    counts = {name: summary[name] for name in ("records", "accepted", "refused", "empty", "duplicates")}
    assert counts == {"records": 5, "accepted": 3, "refused": 1, "empty": 1, "duplicates": 0}
    assert (summary["encoding"], summary["durability"]) == ("cp932", "kafka")
    stored = {json.loads(record.value or b"")["id"]: record for record in records_of(topics.bootstrap_servers, source)}
    assert set(stored) == {record["activity"]["id"] for record in records if "activity" in record}
    value = json.loads(stored[records[0]["activity"]["id"]].value or b"")
    assert value["lead"] == {"email": "taro@example.co.jp", "phone": "+819012345678"}
    assert value["attributes"]["name"] == "山田 太郎"
    assert value["type"] == "card_exchanged"
    assert b"taro" not in (stored[records[0]["activity"]["id"]].key or b"")


def test_the_same_list_in_another_encoding_has_the_same_ids(ingest: IngestProcess, source: str) -> None:
    answers = [
        send(ingest, card_list(encoding), source=source)
        for encoding in ("cp932", "utf-8-sig", "utf-16", "euc_jis_2004")
    ]
    ids = [[record.get("activity", {}).get("id") for record in told(answer)[0]] for answer in answers]
    assert ids[0] == ids[1] == ids[2] == ids[3]


def test_a_dry_run_stores_nothing_and_shows_a_preview(ingest: IngestProcess, topics: KafkaServer, source: str) -> None:
    answer = send(ingest, card_list(), source=source, dry_run="true")
    assert answer.status_code == 200
    records, summary = told(answer)
    assert len(records) == 5
    assert [shown["encoding"] for shown in summary["preview"]] == ["cp932", "utf-8"]
    assert summary["preview"][0]["lines"][0] == HEADER
    assert records_of(topics.bootstrap_servers, source) == []


def test_reports_as_json_and_as_csv(ingest: IngestProcess, source: str) -> None:
    lines, summary = told(send(ingest, card_list(), source=source))
    document = send(ingest, card_list(), "application/json", source=source)
    assert document.json() == {"records": lines, "summary": summary}
    japanese = {"Accept-Language": "ja"}
    sheet = send(ingest, card_list(), "text/csv", japanese, source=source, report_encoding="cp932")
    rows = list(csv.DictReader(io.StringIO(sheet.content.decode("cp932"), newline="")))
    assert [row["結果"] for row in rows] == [line["status"] for line in lines]
    assert "敬称" in rows[1]["メモ"]


def test_silence_consent_and_event_stand_in_the_record(ingest: IngestProcess, topics: KafkaServer, source: str) -> None:
    options = {"event": "秋の展示会", "consent": "email", "consent_at": "2026-11-20", "silent": "true"}
    assert send(ingest, card_list(), "", {}, source=source, **options).status_code == 202
    for record in records_of(topics.bootstrap_servers, source):
        value = json.loads(record.value or b"")
        assert "silent" in value["flags"]
        assert value["properties"]["event"] == "秋の展示会"
        assert value["consent"] == {"email": True, "at": "2026-11-19T15:00:00.000000Z", "source": source}


@pytest.mark.parametrize(
    ("data", "fields", "status", "code"),
    [
        (b"", {}, 422, "empty_file"),
        ("山田,太郎\n".encode(), {}, 422, "no_header"),
        (b"PK\x03\x04\x14\x00\x06\x00", {}, 422, "spreadsheet_file"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", {}, 422, "no_header"),
        (card_list(), {"evnet": "x"}, 422, "invalid_fields"),
        (card_list(), {"occurred_at": "soon"}, 422, "invalid_fields"),
        (card_list(), {"event": "x" * (MAX_FIELD_BYTES + 1)}, 413, "too_large"),
    ],
)
def test_what_is_no_list_is_refused(
    ingest: IngestProcess, data: bytes, fields: dict[str, str], status: int, code: str
) -> None:
    answer = send(ingest, data, "", {}, **fields)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


FORM = "multipart/form-data; boundary=b"


def part(name: str, value: bytes) -> bytes:
    return f'--b\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n'.encode() + value


@pytest.mark.parametrize(
    ("content_type", "body", "status", "code"),
    [
        ("text/csv", card_list(), 415, "unsupported_media_type"),
        ("", card_list(), 415, "unsupported_media_type"),
        ("multipart/form-data", b"x", 400, "invalid_multipart"),
        (FORM, b"x", 400, "invalid_multipart"),
        (FORM, b"--b--\r\n", 422, "invalid_fields"),
        (FORM, part("file", b"x"), 400, "invalid_multipart"),
        (FORM, b"--b\r\nx: y\r\n\r\nz\r\n--b--\r\n", 400, "invalid_multipart"),
        (FORM, part("event", b"\xff\r\n--b--\r\n"), 422, "invalid_fields"),
        (FORM, part("event", b"x\r\n") + part("event", b"x\r\n--b--\r\n"), 422, "invalid_fields"),
        (FORM, part("file", b"x\r\n") + part("file", b"x\r\n--b--\r\n"), 422, "invalid_fields"),
        ("multipart/form-data; boundary=" + "b" * 400, b"x", 400, "invalid_multipart"),
    ],
)  # fmt: skip
def test_what_is_no_form_is_refused(
    ingest: IngestProcess, content_type: str, body: bytes, status: int, code: str
) -> None:
    headers = {"Authorization": f"Bearer {ingest.key}", "Content-Type": content_type}
    answer = httpx2.post(f"{ingest.url}{PATH}", headers=headers, content=body, timeout=20)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_keys_accept_and_compression(ingest: IngestProcess) -> None:
    assert send(ingest, card_list(), headers={"Authorization": "Bearer x"}).status_code == 401
    assert send(ingest, card_list(), "text/html").status_code == 406
    assert send(ingest, card_list(), headers={"Content-Encoding": "gzip"}).status_code == 415
    assert httpx2.get(f"{ingest.url}{PATH}", timeout=20).status_code == 405
    nothing = httpx2.get(f"{ingest.url}/v1/imports/none", headers={"Authorization": f"Bearer {ingest.key}"}, timeout=20)
    assert (nothing.status_code, nothing.json()["code"]) == (404, "not_found")


def test_sizes(ingest: IngestProcess, source: str) -> None:
    line = b"x" * 1_000 + b",,,a@example.jp,,,\n"
    head = (HEADER + "\n").encode()
    over = head + line * (64 * 1_048_576 // len(line) + 1)
    answer = send(ingest, over, source=source)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    many = head + b",,,a,,,\n" * 200_001
    answer = send(ingest, many, source=source, dry_run="true")
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_records")


def test_long_reports_come_in_parts(ingest: IngestProcess, source: str) -> None:
    rows = "".join(f",,,佐藤 {number},lead-{number}@{uuid.uuid4().hex[:8]}.example.jp,,\n" for number in range(2_000))
    records, summary = told(send(ingest, f"{HEADER}\n{rows}".encode(), source=source))
    assert (len(records), summary["accepted"]) == (2_000, 2_000)
    assert [record["record"] for record in records] == list(range(1, 2_001))


def test_a_disk_that_takes_nothing_is_503(topics: KafkaServer, tmp_path: Path) -> None:
    place = tmp_path / "disk"
    with running_ingest(tmp_path, topics.bootstrap_servers, spool_dir=str(place)) as ingest:
        assert send(ingest, card_list(), dry_run="true").status_code == 200
        shutil.rmtree(place)
        place.write_bytes(b"")
        answer = send(ingest, card_list(), dry_run="true")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["retry-after"]
