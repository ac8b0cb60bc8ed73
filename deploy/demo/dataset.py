"""Real orders as activities: a text file with a header line, then customer, date, number of items, dollar value."""

import gzip
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from shared.errors import KizashiError

SYSTEM = "cdnow"
MODEL_DIR = Path(__file__).with_name("orders")
ORDER, LARGE_ORDER = "order", "large-order"
# What orders/scoring.yaml says, in cents; written again here so that the two check each other.
ORDER_CENTS, LARGE_CENTS, LARGE_FROM, ENTER = 1_000, 500, Decimal(100), 5_000
_GZIP = b"\x1f\x8b"
_COLUMNS = 4


@dataclass(frozen=True, slots=True)
class Order:
    """One row; `row` counts from 1 after the header, `amount` is in dollars."""

    row: int
    customer: str
    day: date
    quantity: int
    amount: Decimal

    def as_activity(self) -> dict[str, Any]:
        """The activity as posted; the file knows no time of day."""
        return {
            "id": f"{SYSTEM}-{self.row}",
            "source": SYSTEM,
            "type": "order_placed",
            "occurred_at": datetime.combine(self.day, time(12), UTC).isoformat(),
            "lead": {"external_ids": {SYSTEM: self.customer}},
            "properties": {"quantity": self.quantity, "amount": float(self.amount)},
        }


@dataclass(frozen=True, slots=True)
class Total:
    """What one customer's orders must come to; the score in cents."""

    orders: int
    score: int


def read_orders(path: Path) -> Iterator[Order]:
    """The rows of a file, gzipped or plain. Raises KizashiError with `file:line: what was expected`."""
    try:
        body = path.read_bytes()
        text = (gzip.decompress(body) if body.startswith(_GZIP) else body).decode("utf-8-sig")
    except (OSError, EOFError, ValueError) as error:
        raise KizashiError(f"{path}: expected a text file in UTF-8, plain or gzipped ({error})") from None
    for number, line in enumerate(text.splitlines(), 1):
        if number == 1 or not line.strip():
            continue
        try:
            yield _order(number - 1, line.split())
        except ValueError as error:
            raise KizashiError(f"{path}:{number}: {error}") from None


def _order(row: int, columns: list[str]) -> Order:
    if len(columns) != _COLUMNS:
        raise ValueError(f"expected {_COLUMNS} columns (customer, date, number of items, dollar value)")
    customer, day, quantity, amount = columns
    if len(customer) > 64 or ":" in customer:
        raise ValueError("expected a customer id of at most 64 characters without a colon in column 1")
    if not re.fullmatch(r"[0-9]{8}", day):
        raise ValueError("expected a date such as 19970101 in column 2")
    if not re.fullmatch(r"[0-9]{1,9}", quantity):
        raise ValueError("expected a whole number of items in column 3")
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,2})?", amount):
        raise ValueError("expected a dollar value such as 11.77 in column 4")
    try:
        at = date(int(day[:4]), int(day[4:6]), int(day[6:]))
    except ValueError as error:
        raise ValueError(f"expected a date such as 19970101 in column 2 ({error})") from None
    if at.year < 1970:
        raise ValueError("expected a date from 1970 on in column 2")
    return Order(row, customer, at, int(quantity), Decimal(amount))


def expected_totals(orders: Iterable[Order]) -> dict[str, Total]:
    """By customer, straight from the file."""
    totals: dict[str, Total] = {}
    for order in orders:
        before = totals.get(order.customer, Total(0, 0))
        points = ORDER_CENTS + (LARGE_CENTS if order.amount >= LARGE_FROM else 0)
        totals[order.customer] = Total(before.orders + 1, before.score + points)
    return totals
