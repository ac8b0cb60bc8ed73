"""How activities become requests, and refusals become lines."""

import orjson
import pytest

from deploy.demo.feed import MAX_BYTES, MAX_ITEMS, Chunk, Line, chunked, faults_of


def _lines(count: int, size: int = 40) -> list[Line]:
    return [Line(number, b'{"n":"' + b"x" * (size - 8) + b'"}') for number in range(1, count + 1)]


def test_a_request_holds_at_most_a_thousand_activities() -> None:
    chunks = list(chunked(_lines(2_001)))
    assert [len(chunk.lines) for chunk in chunks] == [1_000, 1_000, 1]
    assert [chunk.number for chunk in chunks] == [0, 1, 2]


def test_a_request_holds_at_most_a_mebibyte() -> None:
    chunks = list(chunked(_lines(500, size=9_000)))
    assert len(chunks) > 1
    assert all(len(chunk.body) <= MAX_BYTES for chunk in chunks)
    assert max(len(chunk.body) for chunk in chunks) > MAX_BYTES - 9_001


@pytest.mark.parametrize(("count", "size"), [(0, 40), (1, 40), (999, 1_049), (MAX_ITEMS, 1_048), (3_000, 700)])
def test_every_line_is_in_one_request_and_in_order(count: int, size: int) -> None:
    chunks = list(chunked(_lines(count, size)))
    assert [line for chunk in chunks for line in chunk.lines] == list(range(1, count + 1))
    assert sum(len(orjson.loads(chunk.body)) for chunk in chunks) == count
    assert all(len(chunk.body) <= MAX_BYTES for chunk in chunks)


def test_an_activity_that_is_too_large_goes_alone() -> None:
    lines = [*_lines(2), Line(3, b'{"n":"' + b"x" * MAX_BYTES + b'"}'), Line(4, b"{}")]
    assert [chunk.lines for chunk in chunked(lines)] == [(1, 2), (3,), (4,)]


def test_a_refusal_names_the_lines_of_the_file() -> None:
    chunk = Chunk(3, (11, 12, 15), b"")
    problem = {
        "detail": "2 fields are not as expected",
        "errors": [
            {"pointer": "/2/lead/email", "detail": "is not an e-mail address"},
            {"pointer": "/0", "detail": "is larger than 65,536 bytes"},
            {"pointer": "", "detail": "a batch is a JSON array"},
        ],
    }
    assert faults_of(422, problem, chunk) == [
        (15, "/lead/email: is not an e-mail address"),
        (11, "is larger than 65,536 bytes"),
        (None, "a batch is a JSON array"),
    ]


def test_a_refusal_without_pointers_names_the_line_only_where_there_is_one() -> None:
    problem = {"detail": "This key is not known."}
    assert faults_of(401, problem, Chunk(0, (4, 5), b"")) == [(None, "answered with 401: This key is not known.")]
    assert faults_of(413, {}, Chunk(0, (7,), b"")) == [(7, "answered with 413")]
