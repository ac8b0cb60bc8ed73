"""From a row of cells to named values: which column is what, and the cleaning that every cell gets."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from unicodedata import normalize

from services.ingest.cards import cells
from services.ingest.cards.headers import NAMELESS, TAG_MARKS, Column
from services.ingest.cards.notes import Note

SEPARATOR = "\x1f"
"""What stands between the cells of a record where they are one text; no cell holds it."""
_FORMULA = re.compile(rf"{SEPARATOR}\s*{cells.FORMULA.pattern}")
LONGEST_NAME = 200


@dataclass(slots=True)
class Values:
    """A record by fields. `more` are the values of further columns of a field, `other` those of unknown columns."""

    known: dict[str, str]
    more: dict[str, list[str]] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    other: dict[str, str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    doubtful: bool = False
    """Whether a sign of something unreadable stands anywhere in it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The columns of a list. `fields` stand in the order of their names, so that ids do not depend on the list's."""

    fields: tuple[tuple[int, str], ...]
    repeats: tuple[Column, ...]
    unknown: tuple[Column, ...]
    names: Mapping[str, str]
    width: int
    consents: bool
    """Whether any column tells of consent."""
    tagged: frozenset[int] = frozenset()
    """Places of columns of a field that are tags where they hold one of TAG_MARKS."""

    @classmethod
    def of(cls, columns: Sequence[Column], width: int) -> "Plan":
        """The plan for a header of `width` cells."""
        first: dict[str, Column] = {}
        repeats: list[Column] = []
        for column in columns:
            if column.field is not None:
                (repeats.append(column) if column.field in first else first.__setitem__(column.field, column))
        return cls(
            tuple(sorted(((column.index, name) for name, column in first.items()), key=lambda one: one[1])),
            tuple(repeats),
            tuple(column for column in columns if column.field is None),
            {name: column.name[:LONGEST_NAME] for name, column in first.items()},
            width,
            any(name.startswith(("consent", "opt_out")) for name in first),
            frozenset(column.index for column in columns if _may_be_tag(column)),
        )

    def name(self, field_name: str) -> str:
        """A field's column as the list calls it."""
        return self.names.get(field_name, field_name)

    def read(self, row: Sequence[str]) -> Values | None:
        """The values of a row after NFKC, without surrounding space; None where nothing stands in it."""
        joined = SEPARATOR + SEPARATOR.join(row)
        if joined.strip(SEPARATOR + " \u3000\t\r\n") == "":
            return None
        notes: list[Note] = []
        if not "".join(row).isprintable():
            row, joined = self._without_controls(row, notes)
        texts = normalize("NFKC", joined).split(SEPARATOR)[1:]
        if len(texts) != self.width:
            self._count(texts, notes)
        known = {name: text for index, name in self.fields if (text := texts[index].strip())}
        values = Values(known, notes=notes, doubtful=any(sign in joined for sign in cells.UNREADABLE))
        if _FORMULA.search(joined):
            self._formulas(values)
        if self.tagged:
            self._tags(values)
        if self.repeats or self.unknown or len(texts) > self.width:
            self._rest(texts, values)
        if not (known or values.other or values.tags or values.more):
            return None
        return values

    @staticmethod
    def _without_controls(row: Sequence[str], notes: list[Note]) -> tuple[Sequence[str], str]:
        """Line breaks and wide spaces are no fault, other characters that nobody sees are taken out."""
        if any(cells.has_controls(cell) for cell in row):
            notes.append(Note("controls"))
            row = [cells.strip_controls(cell) for cell in row]
        row = [cells.squeeze(cell) for cell in row]
        return row, SEPARATOR + SEPARATOR.join(row)

    def _count(self, texts: list[str], notes: list[Note]) -> None:
        if len(texts) < self.width:
            notes.append(Note("fewer_cells", (len(texts), self.width)))
            texts.extend([""] * (self.width - len(texts)))
        elif beyond := sum(1 for text in texts[self.width :] if text.strip()):
            notes.append(Note("more_cells", (beyond,)))

    def _formulas(self, values: Values) -> None:
        for name, text in values.known.items():
            if (kept := cells.unwrap(text)) is not None:
                values.notes.append(Note("unwrapped", (self.name(name),)))
                values.known[name] = kept
            elif cells.is_formula(text):
                values.notes.append(Note("formula", (self.name(name),)))
        for name in [name for name, text in values.known.items() if not text]:
            del values.known[name]

    def _tags(self, values: Values) -> None:
        for index, name in self.fields:
            if index in self.tagged and values.known.get(name) in TAG_MARKS:
                values.tags.append(self.name(name))
                del values.known[name]

    def _rest(self, texts: Sequence[str], values: Values) -> None:
        for column in self.repeats:
            assert column.field is not None
            if text := texts[column.index].strip():
                if column.index in self.tagged and text in TAG_MARKS:
                    values.tags.append(column.name[:LONGEST_NAME])
                elif column.field in values.known:
                    values.more.setdefault(column.field, []).append(text)
                else:
                    values.known = dict(sorted({**values.known, column.field: text}.items()))
        for column in self.unknown:
            if text := texts[column.index].strip():
                if text in TAG_MARKS:
                    values.tags.append(column.name[:LONGEST_NAME])
                else:
                    name = column.name[:LONGEST_NAME]
                    values.other[f"{name} ({column.index + 1})" if name in values.other else name] = text
        for index in range(self.width, len(texts)):
            if text := texts[index].strip():
                values.other[f"{NAMELESS}{index + 1}"] = text


def _may_be_tag(column: Column) -> bool:
    # No event is called 1; 展示会1 and メモ1 may be what a tool calls its tags.
    return column.field == "event" or (column.numbered and column.field in ("memo", "tags"))
