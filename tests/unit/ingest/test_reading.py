"""What a helper is given and gives survives the way between processes, and means the same there."""

import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.helping import outcome_of
from services.ingest.ids import new_id
from services.ingest.intake import JSON_TYPE, Arrival, Intake, Terms
from services.ingest.reading import read_delivery, read_posted
from services.ingest.sources.base import Delivery, Headers, Options
from shared.errors import FieldFault, ProblemError

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
TERMS = Terms(65_536, 1_000, b"a secret", "JP", new_id)
ARRIVAL = Arrival(JSON_TYPE, {}, "retry-1", NOW)

fields = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["a-1", "", 7]),
        "type": st.sampled_from(["page_viewed", "Page Viewed", None]),
        "lead": st.sampled_from([{"email": "taro@example.co.jp"}, {"email": "nobody"}, {"anonymous_id": "b-1"}, {}]),
        "occurred_at": st.sampled_from(["2026-11-20T10:15:00+09:00", "yesterday"]),
        "properties": st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
        "occured_at": st.just("2026-11-20T10:15:00+09:00"),
    },
)
bodies = st.one_of(
    st.lists(fields, max_size=5).map(orjson.dumps), st.binary(max_size=30), st.just(b"[" * 40 + b"]" * 40)
)


def elsewhere(work: Callable[[], Any]) -> Any:
    """As it comes to a helper, and as its outcome comes back."""
    return pickle.loads(pickle.dumps(outcome_of(pickle.loads(pickle.dumps(work))))).result()


def told(work: Callable[[], Any], run: Callable[[Callable[[], Any]], Any]) -> Any:
    try:
        return run(work)
    except ProblemError as error:
        return (error.status, error.code, error.detail, error.errors, error.headers)


@given(bodies)
@pytest.mark.property
def test_a_body_means_the_same_in_a_helper(body: bytes) -> None:
    work = partial(read_posted, body, ARRIVAL, TERMS)
    assert told(work, elsewhere) == told(work, lambda work: work())


def test_a_webhook_means_the_same_in_a_helper() -> None:
    body = orjson.dumps([{"email": f"lead{number}@example.co.jp", "event": "open"} for number in range(3)])
    delivery = Delivery("POST", "https://leads.example.co.jp/v1/webhooks/x", Headers([("content-type", "x")]), body)
    work = partial(read_delivery, "sendgrid", delivery, [], Options("x", "x"), NOW, b"a secret", shown=True)
    received, intake = elsewhere(work)
    assert (received, intake) == work()
    assert isinstance(intake, Intake)


def test_a_problem_keeps_all_its_parts() -> None:
    problem = ProblemError(422, "invalid_fields", "no", [FieldFault("/0", "why")], {"Retry-After": "2"})
    copy = pickle.loads(pickle.dumps(problem))
    assert vars(copy) == vars(problem)
    assert str(copy) == "no"
