"""What routes of this service have in common: ids and cursors from outside."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.clock import from_rfc3339
from shared.codec import has_nul
from shared.errors import FieldFault, ProblemError


def check_texts(**texts: str | None) -> None:
    """Raises ProblemError 422 for a query text that no table can hold."""
    faults = [FieldFault(f"/query/{name}", "holds U+0000") for name, text in texts.items() if has_nul(text)]
    if faults:
        raise ProblemError(422, "invalid_fields", "Some fields are not as expected.", faults)


def place_of(after: Sequence[Any] | None) -> tuple[datetime, UUID] | None:
    """The (instant, id) a page begins after. Raises ProblemError 422 for another list's cursor."""
    if after is None:
        return None
    try:
        at, id_ = after
        return from_rfc3339(at), UUID(id_)
    except (ValueError, TypeError, AttributeError):
        fault = FieldFault("/query/after", "expected the value of a page's `next` link")
        raise ProblemError(422, "invalid_cursor", "The cursor is not one of this list.", [fault]) from None
