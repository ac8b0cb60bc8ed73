"""Events as messages to people: the same content for mail and chat, in English or Japanese. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from services.handoff.core.words import WORDS
from shared.clock import from_rfc3339
from shared.events import (
    DESTINATION_DISABLED,
    EXTRACTION_COMPLETED,
    HANDOFF_OUTCOME,
    HANDOFF_OVERDUE,
    QUALIFIED,
)

MAX_CELL = 500
MAX_LINES = 10
MAX_REASONS = 3
"""Of a lead in a list of many; a mail about one lead has them all."""
GRID = ("name", "company", "email", "phone", "score", "reasons", "grade", "owner")
_KINDS = {
    QUALIFIED: "lead",
    EXTRACTION_COMPLETED: "run",
    HANDOFF_OVERDUE: "overdue",
    HANDOFF_OUTCOME: "outcome",
    DESTINATION_DISABLED: "disabled",
}
_INSTANTS = frozenset(("respond_by", "crossed_at", "handed_over_at", "due_at", "until", "at"))


@dataclass(frozen=True, slots=True)
class Section:
    """Lines under a heading."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A list of leads: headings, and a row for each."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """What is said: plain texts without any markup."""

    language: str
    subject: str
    intro: str
    facts: tuple[tuple[str, str], ...] = ()
    sections: tuple[Section, ...] = ()
    grid: Grid | None = None
    closing: str = ""


def message_of(
    type_: str,
    data: Mapping[str, Any],
    *,
    language: str,
    zone: ZoneInfo,
    leads: Sequence[Mapping[str, Any]] = (),
    count: int = 0,
    test: bool = False,
) -> Message:
    """The message of an event; `leads` are those of a run, of `count` in all."""
    writer = _Writer(WORDS[language], language, zone)
    kind = "lead" if test else _KINDS.get(type_, "other")
    # A run whose leads come one by one is told by its figures alone.
    if kind == "run" and not leads:
        kind = "other"
    subject = writer.subject(kind, type_, data, count)
    words = writer.words
    return Message(
        language=language,
        subject=words["subject.test"].format(subject=subject) if test else subject,
        intro=words["intro.test" if test else f"intro.{kind}"],
        facts=writer.lead_facts(data) if kind == "lead" else writer.plain_facts(data),
        sections=writer.sections(data) if kind == "lead" else (),
        grid=writer.grid(leads) if kind == "run" else None,
        closing=words["more"].format(count=f"{count - len(leads):,}") if kind == "run" and count > len(leads) else "",
    )


class _Writer:
    """Values to words."""

    def __init__(self, words: Mapping[str, str], language: str, zone: ZoneInfo) -> None:
        self.words = words
        self._language = language
        self._zone = zone

    def subject(self, kind: str, type_: str, data: Mapping[str, Any], count: int) -> str:
        """One line."""
        which = str(data.get("which"))
        filled = self.words[f"subject.{kind}"].format(
            who=self._who(data),
            rule=data.get("rule"),
            score=self._number(data.get("score")),
            count=f"{count:,}",
            at=self._value("at", data.get("at")),
            which=self.words.get(f"which.{which}", which),
            outcome=data.get("outcome"),
            name=data.get("name"),
            type=type_,
        )
        return one_line(filled)

    def lead_facts(self, data: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
        """Who it is, what it scored, and what is to be done."""
        lead, handoff = _dict(data.get("lead")), _dict(data.get("handoff"))
        attributes, identifiers = _dict(lead.get("attributes")), _dict(lead.get("identifiers"))
        named = {
            **{name: attributes.get(name) for name in ("name", "company", "job_title")},
            **{name: identifiers.get(name) for name in ("email", "phone")},
            **{name: data.get(name) for name in ("score", "grade", "level", "stage", "rule", "cycle")},
            **{name: handoff.get(name) for name in ("queue", "owner", "respond_by")},
            "crossed_at": data.get("crossed_at"),
            "handoff_id": handoff.get("id"),
        }
        return self._facts(named)

    def plain_facts(self, data: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
        """Every plain value of an event."""
        return self._facts({name: value for name, value in data.items() if not isinstance(value, (dict, list))})

    def _facts(self, named: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
        return tuple(
            (self.words.get(name, name), self._value(name, value)) for name, value in named.items() if value is not None
        )

    def sections(self, data: Mapping[str, Any]) -> tuple[Section, ...]:
        """The reasons, and what the lead did lately."""
        reasons = [self._reason(_dict(item)) for item in _list(data.get("reasons"))]
        activities = [self._activity(_dict(item)) for item in _list(data.get("recent_activities"))]
        found = ((self.words["reasons"], reasons), (self.words["activities"], activities))
        return tuple(Section(title, tuple(lines[:MAX_LINES])) for title, lines in found if lines)

    def _reason(self, reason: Mapping[str, Any]) -> str:
        points = self.words["points"].format(points=self._number(reason.get("points")))
        times = self.words["times"].format(count=reason.get("count"))
        return one_line(f"{reason.get('rule')}: {points} ({times})")

    def _activity(self, activity: Mapping[str, Any]) -> str:
        about = [str(value) for value in _dict(activity.get("properties")).values() if isinstance(value, (str, int))]
        at = self._value("at", activity.get("occurred_at"))
        return one_line(" ".join([at, str(activity.get("type")), ", ".join(about[:3])]).rstrip())

    def grid(self, leads: Sequence[Mapping[str, Any]]) -> Grid:
        """The leads of a run."""
        return Grid(
            tuple(self.words[name] for name in GRID),
            tuple(self._row(item) for item in leads),
        )

    def _row(self, data: Mapping[str, Any]) -> tuple[str, ...]:
        lead, handoff = _dict(data.get("lead")), _dict(data.get("handoff"))
        attributes, identifiers = _dict(lead.get("attributes")), _dict(lead.get("identifiers"))
        values = [attributes.get("name"), attributes.get("company"), identifiers.get("email"), identifiers.get("phone")]
        values += [data.get("score"), self._reasons(data), data.get("grade"), handoff.get("owner")]
        return tuple(self._value("", value) if value is not None else self.words["nobody"] for value in values)

    def _reasons(self, data: Mapping[str, Any]) -> str | None:
        """The greatest ones, in one cell."""
        reasons = [_dict(item) for item in _list(data.get("reasons"))]
        known = [one for one in reasons if isinstance(one.get("points"), (int, float))]
        greatest = sorted(known, key=lambda one: -abs(one["points"]))[:MAX_REASONS]
        return ", ".join(f"{one.get('rule')} {self._number(one['points'])}" for one in greatest) or None

    def _who(self, data: Mapping[str, Any]) -> str:
        lead = _dict(data.get("lead"))
        attributes, identifiers = _dict(lead.get("attributes")), _dict(lead.get("identifiers"))
        known = [attributes.get("company"), attributes.get("name")]
        named = " ".join(str(value) for value in known if value)
        return named or str(identifiers.get("email") or data.get("lead_id") or lead.get("id") or self.words["nobody"])

    def _value(self, name: str, value: Any) -> str:
        if name in _INSTANTS and isinstance(value, str):
            return self._instant(value)
        if isinstance(value, float):
            return self._number(value)
        return one_line(str(value))

    def _instant(self, text: str) -> str:
        try:
            at: datetime = from_rfc3339(text).astimezone(self._zone)
        except ValueError:
            return one_line(text)
        if self._language == "ja":
            return f"{at.year}年{at.month}月{at.day}日 {at:%H:%M}（{self._zone.key}）"
        return f"{at:%Y-%m-%d %H:%M} ({self._zone.key})"

    @staticmethod
    def _number(value: Any) -> str:
        return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, (int, float)) else str(value)


def one_line(text: str) -> str:
    """A text without control characters and line ends, cut to what a line may hold."""
    plain = "".join(char if char.isprintable() else " " for char in text[: 2 * MAX_CELL])
    return " ".join(plain.split())[:MAX_CELL]


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
