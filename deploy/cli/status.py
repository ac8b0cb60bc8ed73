"""`kizashi status`: where everything is, and whether it is healthy now."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import typer

from deploy.cli.common import DEFAULT_DATA_DIR, FAILED, DataDir, Json, print_json
from deploy.local import ports, state
from deploy.local.paths import DataFolder
from deploy.local.probes import http_ready, kafka_answers, port_answers, postgres_answers
from deploy.local.services import NAMES

app = typer.Typer()


@app.command()
def status(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: Json = False) -> None:
    """Show address, process and health of every part; exit code 1 if one is not healthy."""
    report = collect(DataFolder.at(data_dir), os.environ)
    if as_json:
        print_json(report)
    else:
        _print_table(report)
    if not all(part["healthy"] for part in _parts(report).values()):
        raise typer.Exit(FAILED)


def collect(data: DataFolder, env: Mapping[str, str]) -> dict[str, Any]:
    """As printed: `{"services": {name: {"url", "pid", "healthy"}}, "kafka": …, "postgres": …}`."""
    now = state.read(data.state)
    if now is not None and state.find(now.supervisor) is None:
        now = None
    services = now.addresses.services if now else _kept_urls(data)
    report: dict[str, Any] = {
        "services": {name: {"url": services.get(name), **_process(now, name)} for name in NAMES},
        "kafka": {"bootstrap_servers": now.addresses.bootstrap_servers if now else None, **_process(now, "kafka")},
        "postgres": {"url": now.addresses.database_url if now else None, **_process(now, "postgres")},
    }
    if now is not None:
        _ask(report, now, env)
    return report


def _process(now: state.StackState | None, name: str) -> dict[str, Any]:
    known = now.processes.get(name) if now else None
    process = state.find(known) if known else None
    restarts = known.restarts if known else 0
    return {"pid": process.pid if process else None, "healthy": False, "restarts": restarts}


def _ask(report: dict[str, Any], now: state.StackState, env: Mapping[str, str]) -> None:
    """All at once: one that hangs costs a second, not a second each."""
    parts = _parts(report)
    with ThreadPoolExecutor(len(parts)) as pool:
        answers = {name: pool.submit(_is_healthy, name, part, now, env) for name, part in parts.items()}
    for name, answer in answers.items():
        parts[name]["healthy"] = answer.result()


def _is_healthy(name: str, part: dict[str, Any], now: state.StackState, env: Mapping[str, str]) -> bool:
    ours = name in NAMES or name in now.addresses.embedded
    if ours and part["pid"] is None:
        return False
    if name == "kafka":
        encrypted = env.get("KIZASHI_KAFKA__SECURITY_PROTOCOL", "PLAINTEXT") != "PLAINTEXT" and not ours
        ask = port_answers if encrypted else kafka_answers
        addresses = (_host_and_port(f"//{server.strip()}", 9092) for server in part["bootstrap_servers"].split(","))
        return any(ask(host, port) for host, port in addresses)
    if name == "postgres":
        return postgres_answers(*_host_and_port(part["url"], 5432))
    return http_ready(*_host_and_port(part["url"], 80))


def _host_and_port(url: str, default: int) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or default


def _kept_urls(data: DataFolder) -> dict[str, str]:
    block = ports.kept_block(data.ports)
    return {name: f"http://{ports.HOST}:{port}" for name, port in block.services.items()} if block else {}


def _parts(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {**report["services"], "kafka": report["kafka"], "postgres": report["postgres"]}


def _print_table(report: dict[str, Any]) -> None:
    for name, part in _parts(report).items():
        health = "healthy" if part["healthy"] else "not healthy" if part["pid"] else "not running"
        where = part.get("url") or part.get("bootstrap_servers") or ""
        again = f"  restarted {part['restarts']}×" if part["restarts"] else ""
        print(f"{name:<10} {health:<12} {part['pid'] or '':<8} {where}{again}")
