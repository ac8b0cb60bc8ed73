"""Leads on their way to another process and back: tuples of what they hold, as objects cost several times as much in a
pickle.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

from services.scoring.lead_row import LeadRow
from shared.events import OutboxRow

Packed = Sequence[tuple[Any, ...]]
pack_row = attrgetter(*(field.name for field in fields(LeadRow)))
"""`LeadRow(*packed)` is the row again."""
_RECORD = attrgetter(*(field.name for field in fields(OutboxRow)))


def pack_records(records: Iterable[OutboxRow]) -> Packed:
    """`unpack_records` gives them back."""
    return [*map(_RECORD, records)]


def unpack_records(packed: Packed) -> list[OutboxRow]:
    """What `pack_records` was given."""
    return [OutboxRow(*one) for one in packed]
