"""The kinds of failure, by what is to be done about them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


def reason(error: BaseException) -> str:
    """What an error says, or its kind where it says nothing, as time-outs and many of the network do."""
    return str(error) or type(error).__name__


class KizashiError(Exception):
    """Base of every error this project raises on purpose."""


class InvalidMessage(KizashiError):
    """A record that can never be processed: it goes to the dead-letter topic and the partition goes on."""


class TransientError(KizashiError):
    """Something that may work later: back off and try the same again."""


class ConfigError(KizashiError):
    """A faulty configuration; stops the start.

    `where` is a file with line or path, or the name of a variable; `expected` says what would have been right.
    """

    def __init__(self, where: str, expected: str) -> None:
        super().__init__(f"{where}: {expected}")
        self.where = where
        self.expected = expected


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One fault of a request body; `pointer` is an RFC 6901 JSON pointer ("" is the whole body)."""

    pointer: str
    detail: str


def pointer(steps: Iterable[str | int]) -> str:
    """An RFC 6901 JSON pointer."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


class ProblemError(KizashiError):
    """An HTTP error to be answered as `application/problem+json` (RFC 9457) with a stable `code`."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        errors: Sequence[FieldFault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def __reduce__(self) -> tuple[type["ProblemError"], tuple[object, ...]]:
        # Pickled for the way between processes; by default only the text would go along.
        return ProblemError, (self.status, self.code, self.detail, self.errors, self.headers)
