"""No request to any route of the service makes it fail: what the OpenAPI document describes, and what it does not."""

import random
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation

from services.ingest.site.tokens import Mark, Tokens
from shared.codec import encode
from tests.conftest import KafkaServer
from tests.integration.ingest.process import IngestProcess, running_ingest

ORIGIN, WRITE_KEY = "https://www.example.co.jp", "wk_of_any_request"
ANY_RATE = {"KIZASHI_RATE__PER_ADDRESS": "", "KIZASHI_RATE__FAILURES_PER_ADDRESS": ""}
TOKENS = Tokens(b"a secret")
MARKS = (Mark(f"{ORIGIN}/price", "a@example.co.jp", email_id="m"), Mark(None, None, "crm:1"), Mark("", "x"))


@pytest.fixture(scope="module")
def service(topics: KafkaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IngestProcess]:
    folder: Path = tmp_path_factory.mktemp("any")
    site = {"allowed_origins": [ORIGIN]}
    tree = {
        "forms": {
            "contact": {**site, "thank_you": f"{ORIGIN}/thanks"},
            "named": {**site, "fields": {"a": "lead.email"}},
        },
        "tags": {"website": {**site, "write_keys": [WRITE_KEY]}},
        "webhooks": {"generic": {"adapter": "generic", "secrets": ["x"], "mapping": {"fields": {"a": "lead.email"}}}},
    }
    (folder / "sources.yaml").write_bytes(encode(tree))
    with running_ingest(folder, topics.bootstrap_servers, config=folder, env=ANY_RATE) as running:
        yield running


def places(dice: random.Random) -> dict[str, str]:
    """Values of path parameters that there are."""
    return {
        "form_key": dice.choice(("contact", "named")),
        "token": TOKENS.seal(dice.choice(MARKS)),
        "source": "generic",
    }


def as_known(case: Any, service: IngestProcess, dice: random.Random) -> dict[str, Any]:
    """Mostly what the service knows: its keys, forms and tokens; otherwise what was made up."""
    headers: dict[str, str] = {}
    if dice.random() < 0.8:
        known = places(dice)
        case.path_parameters.update({name: known[name] for name in case.path_parameters if name in known})
    if dice.random() < 0.8:
        headers["Authorization"] = f"Bearer {service.key}"
    if dice.random() < 0.3:
        headers["Origin"] = dice.choice((ORIGIN, "null", "https://evil.example"))
    if isinstance(case.body, dict) and dice.random() < 0.8:
        if case.operation.path == "/v1/collect":
            case.body["write_key"] = WRITE_KEY
        elif case.operation.path.startswith("/v1/forms/"):
            case.body[dice.choice(("email", "a", "メールアドレス"))] = "a@example.co.jp"
    if case.operation.path in ("/v1/track", "/v1/identify", "/v1/page", "/v1/batch") and dice.random() < 0.8:
        headers = {"Authorization": httpx2.BasicAuth(WRITE_KEY, "")._auth_header}
    return headers


def ask(service: IngestProcess, per_operation: int, number: int) -> Counter[tuple[str, int]]:
    """So many requests for each operation of the document; the statuses that came."""
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    statuses: Counter[tuple[str, int]] = Counter()
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), "the document is valid"
        _ask_one(result.ok(), service, per_operation, number, statuses)
    return statuses


def _ask_one(
    operation: APIOperation[Any, Any, Any, Any],
    service: IngestProcess,
    count: int,
    number: int,
    statuses: Counter[tuple[str, int]],
) -> None:
    dice = random.Random(f"{number} {operation.label}")
    checks = list(HealthCheck)

    @seed(number)
    @settings(max_examples=count, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=checks)
    @given(case=operation.as_strategy())
    def run(case: Any) -> None:
        answer = case.call(headers=as_known(case, service, dice), timeout=30, allow_redirects=False)
        assert answer.status_code < 500, (operation.label, answer.status_code, case.as_curl_command())
        statuses[operation.label, answer.status_code] += 1

    with warnings.catch_warnings():
        # What the generators of others warn about is not ours.
        warnings.simplefilter("ignore")
        run()


def test_no_described_request_fails(service: IngestProcess) -> None:
    statuses = ask(service, 4, 1)
    print(sorted(statuses.items()))
    assert {200, 202, 302, 401, 422} <= {status for _, status in statuses}
    assert service.ready()


@pytest.mark.long
@pytest.mark.timeout(3_000)
def test_no_described_request_of_ten_thousand_fails(service: IngestProcess) -> None:
    number = random.SystemRandom().randrange(1_000_000)
    print("seed", number)
    statuses = ask(service, 600, number)
    print(sorted(statuses.items()))
    assert sum(statuses.values()) >= 10_000
    assert service.ready()
