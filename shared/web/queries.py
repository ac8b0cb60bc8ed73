"""What query parameters of several services have in common."""

from datetime import datetime

from shared.clock import from_rfc3339
from shared.errors import FieldFault, ProblemError


def instant_in(text: str, pointer: str) -> datetime:
    """An instant of a query. Raises ProblemError 422 naming `pointer`."""
    try:
        # A plus sign that was not percent-encoded arrives as a space.
        return from_rfc3339(text.replace(" ", "+"))
    except ValueError as error:
        raise invalid_parameter(pointer, str(error)) from None


def invalid_parameter(pointer: str, detail: str) -> ProblemError:
    """A parameter that cannot be used."""
    return ProblemError(422, "invalid_parameter", "A parameter cannot be used.", [FieldFault(pointer, detail)])
