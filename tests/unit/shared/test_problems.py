"""Errors as problems."""

from fastapi.exceptions import RequestValidationError

from shared.errors import FieldFault
from shared.web.problems import from_validation_error


def test_a_fault_says_what_was_expected_without_the_validators_own_words() -> None:
    found = {"loc": ("body", "reason"), "msg": "Value error, expected a reason", "type": "value_error"}
    error = from_validation_error(RequestValidationError([found]), json_body=True)
    assert (error.status, error.errors) == (422, (FieldFault("/reason", "expected a reason"),))
