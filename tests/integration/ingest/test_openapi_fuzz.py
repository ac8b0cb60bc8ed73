"""Every operation of the ingest service's own OpenAPI document, asked with what fits it and what does not.

The routes are found in the document, so that a new one is asked without a word here.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok

from services.ingest.site.tokens import Mark, Tokens
from shared.clock import system_clock
from shared.keys import create_key
from tests.conftest import KafkaServer
from tests.integration.ingest.process import IngestProcess, running_ingest

QUICK, LONG = 2, 400
CASES = 10_000
SOURCES = """
forms:
  known: {activity: inquiry_sent, thank_you: "https://www.example.co.jp/thanks", fields: {a: lead.email}}
tags:
  site: {write_keys: [wk_0123456789], allowed_origins: ["https://www.example.co.jp"]}
webhooks:
  known: {adapter: generic, secrets: ["${HOOK_SECRET}"]}
"""
HOOK_SECRET = "a-secret-of-the-generic-tool"
WRITE_KEY = "wk_0123456789"
LINK = Mark("https://www.example.co.jp/price-list", email="taro@example.co.jp")
KNOWN = {"form_key": "known", "source": "known", "token": Tokens(b"a secret").seal(LINK)}
"""Names that exist, for every second request: what is made up meets nothing but 404."""


def operations(url: str) -> Sequence[Any]:
    """What the service's document offers; an operation that cannot be read fails here."""
    schema = schemathesis.openapi.from_dict(httpx2.get(f"{url}/openapi.json").json())
    results = list(schema.get_all_operations())
    assert all(isinstance(result, Ok) for result in results), results
    return [result.ok() for result in results if isinstance(result, Ok)]


class Questions:
    """Asks, and keeps what came back: statuses by operation."""

    def __init__(self, ingest: IngestProcess, key: str) -> None:
        self._url = ingest.url
        self._headers = {"Authorization": f"Bearer {key}"}
        self.seen: dict[str, Counter[int]] = {}

    @property
    def count(self) -> int:
        return sum(sum(statuses.values()) for statuses in self.seen.values())

    def ask(self, case: Case[Any]) -> None:
        """One request. What is refused says why."""
        statuses = self.seen.setdefault(f"{case.method} {case.path}", Counter())
        if sum(statuses.values()) % 2:
            _make_known(case)
        answer = case.call(base_url=self._url, headers=self._headers, timeout=30, allow_redirects=False)
        statuses[answer.status_code] += 1
        assert answer.status_code < 500, (case.as_curl_command(), answer.status_code, answer.content)
        if answer.status_code >= 400 and case.method != "HEAD":
            assert answer.headers["content-type"][0] == "application/problem+json", case.as_curl_command()

    def ask_all(self, operation: Any, mode: GenerationMode, examples: int, number: int) -> None:
        """Requests made after the operation's schema, or against it."""

        @seed(number)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode))
        def once(case: Case[Any]) -> None:
            self.ask(case)

        once()


def _make_known(case: Case[Any]) -> None:
    for name in KNOWN.keys() & (case.path_parameters or {}).keys():
        case.path_parameters[name] = KNOWN[name]
    if "source" in (case.path_parameters or {}):
        case.query = {**(case.query or {}), "secret": HOOK_SECRET}
    if isinstance(case.body, dict):
        case.body |= {"writeKey": WRITE_KEY, "write_key": WRITE_KEY}


def fuzz(topics: KafkaServer, folder: Path, examples: int) -> Questions:
    config = folder / "config"
    config.mkdir()
    (config / "sources.yaml").write_text(SOURCES)
    env = {"HOOK_SECRET": HOOK_SECRET, "KIZASHI_RATE__PER_ADDRESS": ""}
    env["KIZASHI_RATE__FAILURES_PER_ADDRESS"] = ""
    with running_ingest(folder, topics.bootstrap_servers, config=config, env=env) as ingest:
        questions = Questions(ingest, create_key(ingest.key_store, "fuzz", ["admin"], system_clock()))
        for number, operation in enumerate(operations(ingest.url)):
            for mode in GenerationMode:
                # Nothing goes against a schema that takes everything.
                with suppress(Unsatisfiable) if mode.is_negative else nullcontext():
                    questions.ask_all(operation, mode, examples, number)
        assert ingest.ready()
        assert "request_failed" not in (folder / "ingest.log").read_text()
    return questions


def test_no_operation_fails(topics: KafkaServer, tmp_path: Path) -> None:
    questions = fuzz(topics, tmp_path, QUICK)
    assert {200, 302, 401, 404, 422} <= set().union(*questions.seen.values())
    assert len(questions.seen) >= 15


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_ten_thousand_requests_and_none_fails(topics: KafkaServer, tmp_path: Path) -> None:
    questions = fuzz(topics, tmp_path, LONG)
    for operation, statuses in sorted(questions.seen.items()):
        print(operation, dict(sorted(statuses.items())))
    assert questions.count >= CASES
