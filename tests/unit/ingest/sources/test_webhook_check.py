"""`kizashi webhook check` as a command."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.cli.webhook import app, headers_of
from tests.unit.ingest.sources.test_published_vectors import VECTORS, adapter_of


def run(folder: Path, headers: Any, body: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    (folder / "headers.json").write_text(json.dumps(headers), encoding="utf-8")
    (folder / "body").write_bytes(body.encode())
    files = ["--headers", str(folder / "headers.json"), "--body", str(folder / "body")]
    result = CliRunner().invoke(app, ["check", *arguments, *files, "--json"])
    return result.exit_code, json.loads(result.stdout) if result.stdout.startswith("{") else {}


def vector(title: str) -> dict[str, Any]:
    return next(vector for vector in VECTORS if vector["title"] == title)


def checked(folder: Path, told: dict[str, Any], *arguments: str) -> tuple[int, dict[str, Any]]:
    given = ["--adapter", adapter_of(told), "--secret", told["secret_or_public_key"], "--url", told["url"]]
    when = ["--now", str(told["now"])] if "now" in told else []
    return run(folder, told["headers"], told["body"], *given, "--method", told["method"], *when, *arguments)


@pytest.mark.parametrize("told", VECTORS[::4], ids=lambda told: f"{told['tool']}: {told['title']}")
def test_exits_by_the_verdict(tmp_path: Path, told: dict[str, Any]) -> None:
    code, shown = checked(tmp_path, told)
    assert code == (0 if told["expected"] == "valid" else 1)
    assert shown["valid"] is (told["expected"] == "valid")
    assert shown["reason"]


def test_shows_the_activities(tmp_path: Path) -> None:
    _, shown = checked(tmp_path, vector("captured delivery with two click events"))
    assert [activity["type"] for activity in shown["activities"]] == ["email_clicked", "email_clicked"]
    assert all(activity["id"] and activity["source"] == "mandrill" for activity in shown["activities"])


def test_is_valid_by_the_signature_alone(tmp_path: Path) -> None:
    code, shown = checked(tmp_path, vector("octokit vector (same scheme as Meta)"))
    assert (code, shown["valid"], shown["activities"]) == (0, True, [])
    assert shown["refused"]


def test_takes_a_configured_source_with_its_mapping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
    webhooks:
      shop: {adapter: generic, secrets: ["${SHOP_SECRET}"], types: {buy: order_placed},
             mapping: {type: kind, id: [no], fields: {mail: lead.email}}}
    """
    (tmp_path / "sources.yaml").write_text(text, encoding="utf-8")
    given = ["--source", "shop", "--config-dir", str(tmp_path)]
    body = '{"kind": "buy", "no": 7, "mail": "a@example.co.jp"}'
    assert run(tmp_path, {"X-Secret": "s"}, body, *given)[0] == 1
    monkeypatch.setenv("SHOP_SECRET", "s")
    code, shown = run(tmp_path, {"X-Secret": "s"}, body, *given)
    assert (code, shown["activities"][0]["type"], shown["activities"][0]["id"]) == (0, "order_placed", "7")
    assert run(tmp_path, {}, body, "--source", "nowhere", "--config-dir", str(tmp_path))[0] == 2


def test_takes_an_instant_and_several_secrets(tmp_path: Path) -> None:
    told = vector("symmetric v1, official sign vector")
    given = ["--adapter", "standard-webhooks", "--secret", "whsec_AAAA", "--secret", told["secret_or_public_key"]]
    code, _ = run(tmp_path, told["headers"], told["body"], *given, "--now", "2021-02-25T15:07:10Z")
    assert code == 0
    code, shown = run(tmp_path, told["headers"], told["body"], *given, "--now", "2021-02-25T15:20:00Z")
    assert code == 1
    assert shown["reason"].startswith("timestamp")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--adapter", "hubspo", "--secret", "x"],
        ["--adapter", "hubspot"],
        ["--secret", "x"],
        ["--adapter", "hubspot", "--secret", "x", "--now", "yesterday"],
    ],
)
def test_wrong_use_exits_with_2(tmp_path: Path, arguments: list[str]) -> None:
    assert run(tmp_path, {}, "", *arguments)[0] == 2


@pytest.mark.parametrize("headers", [7, ["a"], {"a": {"b": 1}}, {"a": None}, [["a", "b", "c"]]])
def test_headers_that_are_none_exit_with_2(tmp_path: Path, headers: Any) -> None:
    assert run(tmp_path, headers, "", "--adapter", "hubspot", "--secret", "x")[0] == 2


def test_headers_keep_their_duplicates() -> None:
    given = headers_of(b'{"X-A": "1", "x-a": "2", "X-B": ["3", "4"], "X-N": 5}')
    assert (given.all("X-A"), given.all("x-b"), given.one("x-n")) == (["1", "2"], ["3", "4"], "5")
    assert headers_of(b'[["X-A", "1"], ["X-A", "2"]]').all("x-a") == ["1", "2"]


def test_prints_for_people_too(tmp_path: Path) -> None:
    (tmp_path / "h").write_text("{}", encoding="utf-8")
    (tmp_path / "b").write_bytes(b"{}")
    files = ["--headers", str(tmp_path / "h"), "--body", str(tmp_path / "b")]
    result = CliRunner().invoke(app, ["check", "--adapter", "mautic", "--secret", "x", *files])
    assert result.exit_code == 1
    assert result.stdout.startswith("not valid: missing header: Webhook-Signature")
