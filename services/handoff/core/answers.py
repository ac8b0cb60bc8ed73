"""What sales answers: the body of `POST …/outcome`, and of a record on `handoff-answers`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from services.handoff.core.handoff import Step
from services.handoff.core.state import faults_text
from services.handoff.core.states import NEED_REASON
from shared import codec
from shared.activity import MAX_AHEAD
from shared.clock import EPOCH, from_rfc3339
from shared.durations import LONGEST
from shared.errors import FieldFault, InvalidMessage


def _instant(value: Any) -> Any:
    if value is None or isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError("expected an RFC 3339 instant with an offset")
    return from_rfc3339(value)


Instant = Annotated[datetime, BeforeValidator(_instant)]


class Answer(BaseModel):
    """One answer. `by` and `at` are filled where it is taken in, if the sender leaves them out."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        str_strip_whitespace=True,
        json_schema_extra={"example": {"outcome": "rejected", "reason": "no budget this year", "by": "sato"}},
    )

    outcome: Literal["accepted", "rejected", "recycled", "converted", "lost"]
    reason: Annotated[
        str | None, Field(max_length=2_000, validate_default=True, description="Required for rejected and recycled.")
    ] = None
    until: Annotated[
        Instant | None,
        Field(description="RFC 3339, from 1970 to a hundred years from now; until when a recycled lead rests."),
    ] = None
    by: Annotated[str | None, Field(max_length=200, description="Who answered. Default: the key's name.")] = None
    at: Annotated[
        Instant | None,
        Field(description="RFC 3339, from 1970 to five minutes from now; when it was decided. Default: now."),
    ] = None

    @field_validator("reason")
    @classmethod
    def _has_reason(cls, reason: str | None, info: ValidationInfo) -> str | None:
        if not reason and info.data.get("outcome") in NEED_REASON:
            raise ValueError("a reason is required for rejected and recycled")
        return reason or None

    def untimely(self, now: datetime) -> Sequence[FieldFault]:
        """What is wrong with its instants: tools write the ends of their calendars where they know no better, and
        neither a deadline nor a row can be made of those.
        """
        bounds = (
            ("/until", self.until, LONGEST, "a hundred years from now"),
            ("/at", self.at, MAX_AHEAD, "five minutes from now"),
        )
        return [
            FieldFault(pointer, f"expected an instant from 1970 to {latest}")
            for pointer, instant, ahead, latest in bounds
            if instant is not None and not EPOCH <= instant <= now + ahead
        ]

    def step(self, *, by: str, now: datetime) -> Step:
        """The step this answer asks for."""
        return Step(self.outcome, self.at or now, self.by or by, self.reason, self.until)


class AnswerRecord(Answer):
    """An answer that came by topic, so that it names its handoff."""

    handoff_id: UUID


def parse_answer(value: bytes) -> AnswerRecord:
    """A record's value. Raises InvalidMessage naming what is wrong, without quoting it."""
    try:
        raw = codec.decode(value)
        if codec.has_nul(raw):
            raise InvalidMessage("holds a NUL character")
        return AnswerRecord.model_validate(raw)
    except codec.JsonFault as error:
        raise InvalidMessage(str(error)) from None
    except ValidationError as error:
        raise InvalidMessage(faults_text(error)) from None
