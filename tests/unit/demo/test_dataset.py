"""Orders of a shop as activities, on made-up rows."""

import gzip
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from deploy.demo.dataset import ENTER, MODEL_DIR, Order, Total, expected_totals, read_orders
from services.scoring.offline import Text, score_texts
from shared.errors import KizashiError

FIXTURE = Path(__file__).parents[2] / "fixtures" / "orders" / "made_up.txt"
HEADER = " customer_id  date number_of_cds  dollar_value\r\n"


def _file(tmp_path: Path, rows: str) -> Path:
    path = tmp_path / "orders.txt"
    path.write_text(HEADER + rows, encoding="utf-8", newline="")
    return path


def test_a_row_becomes_one_order() -> None:
    orders = list(read_orders(FIXTURE))
    assert len(orders) == 31
    assert orders[2] == Order(3, "00002", date(1997, 1, 12), 5, Decimal("77.00"))
    assert orders[2].as_activity() == {
        "id": "cdnow-3",
        "source": "cdnow",
        "type": "order_placed",
        "occurred_at": "1997-01-12T12:00:00+00:00",
        "lead": {"external_ids": {"cdnow": "00002"}},
        "properties": {"quantity": 5, "amount": 77.0},
    }


def test_gzip_is_read_as_well(tmp_path: Path) -> None:
    packed = tmp_path / "orders.gz"
    packed.write_bytes(gzip.compress(FIXTURE.read_bytes()))
    assert list(read_orders(packed)) == list(read_orders(FIXTURE))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("00001 19970101 1", "expected 4 columns"),
        ("0:1 19970101 1 1.00", "in column 1"),
        ("00001 19970230 1 1.00", "expected a date such as 19970101 in column 2"),
        ("00001 1997-1-1 1 1.00", "expected a date such as 19970101 in column 2"),
        ("00001 １９９７０１０１ 1 1.00", "expected a date such as 19970101 in column 2"),
        ("00001 19691231 1 1.00", "expected a date from 1970 on in column 2"),
        ("00001 19970101 1.5 1.00", "expected a whole number of items in column 3"),
        ("00001 19970101 -1 1.00", "expected a whole number of items in column 3"),
        ("00001 19970101 1 $1.00", "expected a dollar value such as 11.77 in column 4"),
        ("00001 19970101 1 nan", "expected a dollar value such as 11.77 in column 4"),
    ],
)
def test_a_faulty_row_is_named_with_its_line(tmp_path: Path, row: str, expected: str) -> None:
    path = _file(tmp_path, f"00001 19970101 1 1.00\r\n{row}\r\n00002 19970101 1 1.00\r\n")
    with pytest.raises(KizashiError) as caught:
        list(read_orders(path))
    assert str(caught.value).startswith(f"{path}:3: ")
    assert expected in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\x1f\x8bbroken"])
def test_what_is_no_file_of_orders_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "orders"
    path.write_bytes(content)
    with pytest.raises(KizashiError, match="expected a text file"):
        list(read_orders(path))


def test_a_customer_is_paid_for_every_order_and_more_for_large_ones() -> None:
    assert expected_totals(read_orders(FIXTURE)) == {
        "00001": Total(1, 1_000),
        "00002": Total(2, 2_000),
        "00003": Total(5, 5_000),
        "00004": Total(22, 22_000),
        "00005": Total(1, 1_500),
    }


def test_the_model_of_orders_says_the_same_as_the_plain_count() -> None:
    orders = list(read_orders(FIXTURE))
    model = Text("scoring.yaml", (MODEL_DIR / "scoring.yaml").read_bytes())
    activities = Text("orders.ndjson", b"\n".join(orjson.dumps(order.as_activity()) for order in orders))
    scored = score_texts(model, activities, None, datetime(2026, 11, 20, tzinfo=UTC))
    totals = expected_totals(orders)
    assert {one.lead: one.evaluation.score for one in scored} == {
        f"cdnow:{name}": total.score for name, total in totals.items()
    }
    assert sum(total.score >= ENTER for total in totals.values()) == 2
