"""Records out of text: quotes, line breaks, and damage that stays where it is."""

import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest.cards import cutting, tables
from services.ingest.cards.cutting import read_blocks
from services.ingest.cards.encodings import UTF_8, Raw
from services.ingest.cards.listing import count_records, read_layout
from services.ingest.cards.options import CardOptions
from services.ingest.cards.tables import Row, read_rows
from tests.unit.ingest.cards.reading import HEADER, read


def rows(text: str, delimiter: str = ",") -> list[tuple[int, list[str], bool]]:
    found = read_rows(io.StringIO(text, newline=""), delimiter)
    return [(row.line, list(row.cells), bool(row.broken)) for row in found]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_quoted_line_breaks(end: str) -> None:
    text = end.join(["a,b", f'"x{end}y","1""2"', "", "c,d", ""])
    assert rows(text) == [
        (1, ["a", "b"], False),
        (2, [f"x{end}y", '1"2'], False),
        (4, [], False),
        (5, ["c", "d"], False),
    ]


def test_an_open_quote_costs_its_own_record_alone() -> None:
    text = 'a,b\n"open,x\n"c","d"\ne,f\n'
    assert rows(text) == [
        (1, ["a", "b"], False),
        (2, ["open", "x"], True),
        (3, ["c", "d"], False),
        (4, ["e", "f"], False),
    ]


def test_an_open_quote_that_nothing_closes() -> None:
    text = 'a,b\n"open,x\n' + "".join(f"{number},y\n" for number in range(300))
    found = rows(text)
    assert [broken for _, _, broken in found].count(True) == 1
    assert found[-1] == (302, ["299", "y"], False)
    assert [line for line, _, _ in found] == list(range(1, 303))


def test_a_stray_quote_is_read_and_told() -> None:
    found = read('会社名,氏名,メール\n"サンプル"商事"",山田,taro@example.co.jp\n')
    assert found.codes() >= {"stray_quote"}
    assert found.posted()["attributes"]["name"] == "山田"


def test_a_line_beyond_all_measure_is_passed_over() -> None:
    found = rows("a,b\n" + "x" * 200_000 + ",1\nc,d\n")
    assert [broken for _, _, broken in found] == [False, True, False]
    assert found[-1][1] == ["c", "d"]


def test_a_record_over_too_many_lines() -> None:
    found = rows('a,"' + "\n" * (tables.MOST_LINES + 5) + '"\nc,d\n')
    assert found[0][2]
    assert found[-1][1] == ["c", "d"]


def test_many_open_quotes_take_no_quadratic_time() -> None:
    found = rows('x,"y\n' * 20_001)
    assert len(found) <= 20_001


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), min_size=2)))
def test_what_csv_writes_is_read_back(table: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(table)
    written = text.getvalue()
    if max((part.count("\n") + part.count("\r") for part in written.split('"')), default=0) < tables.MOST_LINES:
        assert [cells for _, cells, _ in rows(written)] == table


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_the_delimiter_is_found_out(delimiter: str) -> None:
    text = f"{HEADER}\nサンプル,製造部,課長,山田,taro@example.co.jp,,,\n".replace(",", delimiter)
    found = read(text)
    assert found.layout.delimiter == delimiter
    assert found.posted()["lead"]["email"] == "taro@example.co.jp"


def raw(text: str) -> Raw:
    return Raw(io.BytesIO(text.encode()), UTF_8)


def in_blocks(text: str, skip: int = 0) -> list[Row]:
    """The records of blocks, one by one."""
    rows: list[Row] = []
    for part in read_blocks(raw(text), ",", skip):
        if isinstance(part, Row):
            rows.append(part)
        else:
            assert part.folded or not any("\n" in cell or "\r" in cell for row in part.records.rows() for cell in row)
            assert len(part.lines) == len(part.records)
            rows += map(Row, part.lines, map(part.records.row, range(len(part.records))))
    return rows


def one_by_one(text: str) -> list[Row]:
    """The same, each read by itself. Nothing in a line is one empty cell or none."""
    rows = read_rows(io.StringIO(text, newline=""), ",")
    return [row if row.cells else row._replace(cells=[""]) for row in rows]


_TEXT = st.lists(
    st.sampled_from(
        ['"', '"', ",", "\n", "\r\n", "\r", "a", 'b,"c"', '"d\ne"', "x" * 30, "\x0b", "\x85", "\u2028", "あ"]
    ),
    max_size=60,
).map("".join)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_TEXT, st.integers(1, 40), st.integers(0, 4))
def test_blocks_hold_the_records_of_rows(text: str, size: int, skip: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        # As small as the texts, in the same order of size.
        patched.setattr(cutting, "BLOCK_BYTES", size)
        patched.setattr(tables, "LONGEST_LINE", 60)
        patched.setattr(tables, "MOST_LINES", 4)
        patched.setattr(tables, "MOST_CHARACTERS", 100)
        found = [row if row.cells else row._replace(cells=[""]) for row in in_blocks(text, skip)]
        assert found == one_by_one(text)[skip:]


def test_a_block_ends_where_a_line_does() -> None:
    line = "a,b" + "c" * 95 + "\r\n"
    text = line * 2_000
    parts = list(read_blocks(raw(text), ","))
    assert len(parts) > 3
    assert not any(isinstance(part, Row) for part in parts)
    assert in_blocks(text) == one_by_one(text)


@pytest.mark.parametrize("damage", ["", '"open,x,y\n'])
def test_records_are_counted_up_to_a_limit(damage: str) -> None:
    people = "A,,,B,b@example.jp,,,\n" * 700
    file = io.BytesIO(f"{HEADER}\n{damage}{people}".encode())
    layout = read_layout(file, CardOptions())
    records = 700 + bool(damage)
    assert count_records(file, layout, records - 1) == records
    assert count_records(file, layout, records) == records
    assert count_records(file, layout, 10) == 11
