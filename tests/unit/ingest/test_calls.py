"""How long a tool's API is asked again, and what its answers mean."""

from datetime import UTC, datetime
from typing import cast

import pytest

from services.ingest.calls import Caller, Gone, NoAnswer, retry_after
from services.ingest.sources.fetching import FetchOptions, Question
from shared.outgoing import AddressRefused, Answer, Call, Outgoing, TooLong, Unanswered

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
OPTIONS = FetchOptions("token", "https://api.example.com", "v1", 60_000)
QUESTION = Question("https://api.example.com/v1/1", (("Authorization", "Bearer token"),))


def answer(status: int, body: bytes = b"{}", **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


class Network:
    """Gives what it was told to, in order; the last for ever."""

    def __init__(self, *plan: Answer | Exception) -> None:
        self.plan = list(plan)
        self.calls: list[Call] = []

    async def send(self, call: Call) -> Answer:
        self.calls.append(call)
        told = self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]
        if isinstance(told, Exception):
            raise told
        return told


def caller(network: Network, give_up_s: float = 0.0) -> Caller:
    return Caller(OPTIONS, cast(Outgoing, network), lambda: NOW, give_up_s)


async def test_an_answer_is_decoded() -> None:
    network = Network(answer(200, b'{"id": 1}'))
    assert await caller(network).ask(QUESTION) == {"id": 1}
    assert network.calls == [Call("GET", QUESTION.url, {"Authorization": "Bearer token"})]


@pytest.mark.parametrize("status", [404, 410])
async def test_what_is_gone_is_asked_about_once(status: int) -> None:
    network = Network(answer(status))
    with pytest.raises(Gone):
        await caller(network, 60).ask(QUESTION)
    assert len(network.calls) == 1


@pytest.mark.parametrize(
    "told",
    [
        answer(400),
        answer(401),
        answer(403),
        answer(302, location="https://other.example.com/"),
        answer(204, b""),
        answer(200, b"<html>"),
        answer(200, b"[" * 40 + b"]" * 40),
        AddressRefused("not public"),
        TooLong("too long"),
    ],
    ids=["400", "401", "403", "302", "204", "no JSON", "deep", "refused", "too long"],
)
async def test_what_no_second_try_would_change_is_asked_once(told: Answer | Exception) -> None:
    network = Network(told)
    with pytest.raises(NoAnswer) as error:
        await caller(network, 60).ask(QUESTION)
    assert len(network.calls) == 1
    assert "token" not in str(error.value)
    assert "/v1/1" not in str(error.value)


@pytest.mark.parametrize("told", [answer(500), answer(503), answer(429), Unanswered("ReadError")])
async def test_it_is_given_up_when_the_time_is_over(told: Answer | Exception) -> None:
    network = Network(told)
    with pytest.raises(NoAnswer):
        await caller(network).ask(QUESTION)
    assert len(network.calls) == 1


async def test_a_pause_longer_than_the_time_left_is_not_waited_for() -> None:
    network = Network(answer(429, retry_after="120"), answer(200))
    with pytest.raises(NoAnswer, match="429"):
        await caller(network, 60).ask(QUESTION)
    assert len(network.calls) == 1


async def test_while_a_tool_is_away_each_question_is_tried_once() -> None:
    asked = caller(network := Network(answer(429, retry_after="120")), 60)
    with pytest.raises(NoAnswer):
        await asked.ask(QUESTION)
    network.plan = [answer(503), answer(200)]
    with pytest.raises(NoAnswer):
        await asked.ask(QUESTION)
    assert await asked.ask(QUESTION) == {}
    assert len(network.calls) == 3


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("999999", 300),
        ("Tue, 24 Nov 2026 03:01:00 GMT", 60),
        ("Tue, 24 Nov 2026 02:00:00 GMT", 0),
        ("Tue, 24 Nov 2026 03:01:00", 0),
        ("soon", 0),
        ("-5", 0),
        ("1e9", 0),
        ("１０", 10),
        ("", 0),
    ],
)
def test_reads_retry_after(written: str, seconds: float) -> None:
    assert retry_after(answer(429, retry_after=written), NOW) == seconds


def test_no_header_asks_for_no_pause() -> None:
    assert retry_after(answer(500), NOW) == 0
