"""`kizashi links create`, without a stack: the secret and the address are given."""

import csv
import json
from io import StringIO
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli.links import app
from services.ingest.site.tokens import Mark, Tokens

BASE = "https://leads.example.co.jp"
URL = "https://www.example.co.jp/price"
SENT = "2026-11-20T10:00:00+09:00"
TOKENS = Tokens(b"a secret")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("KIZASHI_IDENTITY_SECRET", "a secret")
    return CliRunner(env={"COLUMNS": "200"})


def create(run: CliRunner, folder: Path, *arguments: str) -> tuple[int, str]:
    common = ["--base-url", BASE, "--data-dir", str(folder), "--sent-at", SENT]
    result = run.invoke(app, ["create", *arguments, *common])
    return result.exit_code, result.stdout + result.stderr


def opened(address: str) -> Mark:
    return TOKENS.open(address.removeprefix(f"{BASE}/v1/").partition("/")[2].removesuffix(".gif"))


def test_one_recipient(run: CliRunner, tmp_path: Path) -> None:
    asked = ("--email", "Taro@Example.co.jp", "--email-id", "autumn-2", "--campaign", "autumn", "--pixel", "--honeypot")
    code, out = create(run, tmp_path, f"price={URL}", *asked, "--json")
    made = json.loads(out)
    assert (code, made.keys()) == (0, {"email", "external_id", "link_price", "pixel", "honeypot"})
    mark = Mark(URL, "taro@example.co.jp", None, "autumn-2", "autumn", "price", 1_795_136_400)
    assert opened(made["link_price"]) == mark
    assert opened(made["pixel"]).url is None
    assert opened(made["honeypot"]).honeypot


def test_a_column_for_every_recipient(run: CliRunner, tmp_path: Path) -> None:
    path, out = tmp_path / "list.csv", tmp_path / "out.csv"
    rows = "会社名,メールアドレス\r\n髙橋製作所,a@example.co.jp\r\nなし,\r\n誤り,x\r\n㈱サンプル,b@example.co.jp\r\n"
    path.write_bytes(rows.encode("cp932"))
    code, told = create(run, tmp_path, URL, f"case={URL}?x=1", "--csv", str(path), "--out", str(out), "--email-id", "m")
    assert code == 0
    assert "line 3" in told
    assert "line 4" in told
    lines = list(csv.DictReader(StringIO(out.read_bytes().decode("cp932"))))
    assert [line["会社名"] for line in lines] == ["髙橋製作所", "なし", "誤り", "㈱サンプル"]
    assert list(lines[0]) == ["会社名", "メールアドレス", "link_1", "link_case"]
    assert [opened(line["link_case"]).email for line in lines if line["link_case"]] == [
        "a@example.co.jp",
        "b@example.co.jp",
    ]
    assert opened(lines[0]["link_case"]).url == f"{URL}?x=1"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((URL,), "--csv"),
        (("javascript:alert(1)", "--email", "a@example.co.jp"), "https://"),
        ((URL, "--email", "nobody"), "e-mail"),
        ((URL, "--external-id", "7"), "SYSTEM:ID"),
        ((f"a={URL}", f"a={URL}?x=1", "--email", "a@example.co.jp"), "two links are named a"),
        ((f"2={URL}", URL, "--email", "a@example.co.jp"), "two links are named 2"),
        ((URL, "--csv", __file__, "--json"), "--json is for one recipient"),
    ],
)
def test_wrong_use_is_explained(run: CliRunner, tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    code, out = create(run, tmp_path, *arguments)
    assert code == 2
    assert told in out


def test_a_list_without_addresses_is_refused(run: CliRunner, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    code, out = create(run, tmp_path, URL, "--csv", str(path))
    assert code == 1
    assert "メールアドレス" in out


def test_a_cell_of_endless_length_is_told_with_its_line(run: CliRunner, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"email\na@example.co.jp\n{'x' * 200_000}\n", encoding="utf-8")
    code, out = create(run, tmp_path, URL, "--csv", str(path))
    assert code == 1
    assert "line 3: cannot be read as CSV" in out


def test_an_output_that_cannot_be_written_is_named(run: CliRunner, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("email\na@example.co.jp\n", encoding="utf-8")
    code, out = create(run, tmp_path, URL, "--csv", str(path), "--out", str(tmp_path / "none" / "x.csv"))
    assert code == 1
    assert "x.csv: cannot be written" in out
