"""Reports: three forms, two encodings, and no cell that a spreadsheet runs."""

import csv
import io
import json

import pytest

from services.ingest.cards.report import CSV, JSON, NDJSON, Rendering, accepted_type, preview_of, record_of
from tests.unit.ingest.cards.reading import read

LIST = "会社名,氏名,メール\n㈱A,山田 様,a@example.jp\n,,\n=1+1,𠮷田,b@example.jp\n,,x\n"


def lines() -> list[dict[str, object]]:
    return [record_of(outcome, "en") for outcome in read(LIST).outcomes]


def render(rendering: Rendering) -> bytes:
    told = lines()
    return rendering.begin() + rendering.records(told[:2]) + rendering.records(told[2:]) + rendering.end({"records": 4})


def test_json_lines_and_json_say_the_same() -> None:
    *records, last = [json.loads(line) for line in render(Rendering(NDJSON)).splitlines()]
    assert json.loads(render(Rendering(JSON))) == {"records": records, **last}
    assert [record["status"] for record in records] == ["accepted", "empty", "accepted", "refused"]
    assert [record["record"] for record in records] == [1, 2, 3, 4]
    assert ["activity" in record for record in records] == [True, False, True, False]
    assert json.loads(Rendering(JSON).begin() + Rendering(JSON).end({})) == {"records": [], "summary": {}}


@pytest.mark.parametrize(("encoding", "mark", "name"), [("utf-8", "\ufeff", "𠮷田"), ("cp932", "", "〓田")])
def test_csv_in_both_encodings(encoding: str, mark: str, name: str) -> None:
    text = render(Rendering(CSV, encoding)).decode(encoding)  # type: ignore[arg-type]
    assert text.startswith(mark + "record,line,status,notes,")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix(mark), newline="")))
    assert [row["status"] for row in rows] == ["accepted", "empty", "accepted", "refused"]
    assert rows[0]["company"] == "株式会社A"
    assert (rows[2]["company"], rows[2]["name"]) == ("'=1+1", name)
    assert "title: " in rows[0]["notes"]


def test_csv_with_japanese_heads() -> None:
    assert Rendering(CSV, "cp932", "ja").begin().decode("cp932").startswith("レコード,行,結果,メモ,")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", NDJSON),
        ("*/*", NDJSON),
        ("application/json", JSON),
        ("text/csv", CSV),
        ("text/*", CSV),
        ("application/json;q=0.5, text/csv", CSV),
        ("application/jsonl", NDJSON),
        ("text/html, application/json;q=0.9, */*;q=0.1", JSON),
        ("text/html", None),
        ("text/csv;q=0", None),
        ("text/csv;q=x", None),
    ],
)
def test_the_form_follows_accept(accept: str, form: str | None) -> None:
    assert accepted_type(accept) == form


def test_the_preview_shows_two_encodings() -> None:
    data = ("一行目\n" + LIST).encode("cp932", "replace")
    found = read(data)
    preview = preview_of(io.BytesIO(data), found.layout)
    assert [shown["encoding"] for shown in preview] == ["cp932", "utf-8"]
    assert preview[0]["lines"][:2] == ["会社名,氏名,メール", "㈱A,山田 様,a@example.jp"]
