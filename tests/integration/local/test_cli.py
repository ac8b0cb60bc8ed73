"""The command line's frame, as a caller sees it: exit codes, what is printed where."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.cli.common import stack_addresses
from deploy.cli.main import COMMANDS
from deploy.local.paths import ROOT
from shared.errors import KizashiError

PARTS = {"ingest", "scoring", "handoff"}


def kizashi(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli.main", *arguments],
        env={**os.environ, **(env or {})},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_command_without_loading_any() -> None:
    code = "import sys; from deploy.cli.main import app; app(['--help'], standalone_mode=False); print([*sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    listing, modules = done.stdout.split("\n['", 1)
    assert all(re.search(rf"^  {name} ", listing, re.MULTILINE) for name in COMMANDS)
    # These are what makes a start slow.
    assert not {"rich", "aiokafka", "asyncpg", "fastapi", "sqlalchemy", "deploy.local.stack"} & set(
        re.findall(r"[\w.]+", modules)
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    done = kizashi(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: kizashi {name}" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("no-such-command",),
        ("up", "--port-base", "70000"),
        ("up", "--config-dir", "/no/such/folder"),
        ("down", "--now"),
    ],
)
def test_wrong_use_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    done = kizashi(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error" in done.stderr


def test_status_prints_also_where_nothing_runs(tmp_path: Path) -> None:
    done = kizashi("status", "--json", "--data-dir", str(tmp_path))
    assert (done.returncode, done.stderr) == (1, "")
    report = json.loads(done.stdout)
    assert report["services"].keys() == PARTS
    assert {(part["pid"], part["healthy"]) for part in report["services"].values()} == {(None, False)}
    assert report["kafka"].keys() >= {"bootstrap_servers", "pid", "healthy"}
    assert report["postgres"].keys() >= {"url", "pid", "healthy"}
    assert list(tmp_path.iterdir()) == []


def test_down_where_nothing_runs_is_no_failure(tmp_path: Path) -> None:
    done = kizashi("down", "--data-dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "")
    assert f"no stack runs on {tmp_path}" in done.stderr


def test_doctor_says_what_to_do_about_each_fault(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = kizashi("doctor", "--json", "--data-dir", str(tmp_path / "file"))
    findings = {item["check"]: item for item in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1
    assert findings["data folder"]["level"] == "fail"
    assert findings["kafka"]["level"] == "ok"
    assert all(bool(item["advice"]) == (item["level"] != "ok") for item in findings.values())


def test_doctor_finds_settings_and_files_that_nothing_starts_with(tmp_path: Path) -> None:
    (tmp_path / "handoff.yaml").write_text("rules: [{id: hot, enter: much, to: desk, when: immediately}]\n")
    done = kizashi("doctor", env={"KIZASHI_CONFIG_DIR": str(tmp_path), "KIZASHI_INGEST__MAX_ITEMS": "some"})
    assert done.returncode == 1
    for said in ("MAX_ITEMS", "handoff.yaml:1: rules[0].enter"):
        assert said in done.stdout


@pytest.mark.parametrize(("output", "said"), [("| true", ""), ("> /dev/full", "kizashi: [Errno 28]")])
@pytest.mark.parametrize("buffered", [True, False])
def test_where_nobody_reads_a_command_ends_without_a_traceback(output: str, said: str, buffered: bool) -> None:
    command = f"{sys.executable} -m deploy.cli.main model schema {output}; exit ${{PIPESTATUS[0]}}"
    env = {**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"}
    done = subprocess.run(["bash", "-c", command], env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(said)
    assert "Traceback" not in done.stderr


def test_activities_are_read_from_a_pipe(tmp_path: Path) -> None:
    command = f"printf '{{}}\\n{{' | {sys.executable} -m deploy.cli.main send /dev/stdin --data-dir {tmp_path}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "/dev/stdin:2: broken JSON" in done.stderr, "all of it was looked at"


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"KIZASHI_ENV": "production"}, "KIZASHI_ENV=production needs servers of your own"),
        ({"KIZASHI_DATABSE__URL": "postgresql://db/kizashi"}, "KIZASHI_DATABSE__URL: no such setting"),
    ],
)
def test_a_faulty_environment_stops_the_start_with_its_name(env: dict[str, str], said: str, tmp_path: Path) -> None:
    done = kizashi("up", "--data-dir", str(tmp_path / "data"), env=env)
    assert done.returncode == 1
    assert done.stderr.startswith(f"kizashi: {said}")
    assert "Traceback" not in done.stderr


def test_commands_find_servers_that_the_environment_names(tmp_path: Path) -> None:
    env = {"KIZASHI_KAFKA__BOOTSTRAP_SERVERS": "broker:9092", "KIZASHI_DATABASE__URL": "postgresql://u:p@db/kizashi"}
    found = stack_addresses(tmp_path, env)
    assert found.bootstrap_servers == found.settings.kafka.bootstrap_servers == "broker:9092"
    assert found.database_url == "postgresql://u:p@db/kizashi"
    assert found.url("scoring") == "http://127.0.0.1:8002"
    with pytest.raises(KizashiError, match="no stack runs on"):
        stack_addresses(tmp_path, {})
