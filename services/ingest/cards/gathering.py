"""What is put together for each card from the cells of its columns: its id, and the dict of its attributes."""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from itertools import compress, repeat
from operator import not_
from typing import TYPE_CHECKING, Any

from services.ingest.cards.card import said_first
from services.ingest.cards.columns import Cells
from services.ingest.cards.options import CardOptions
from services.ingest.cards.plan import SEPARATOR

if TYPE_CHECKING:
    from hashlib import _Hash as HASH

_NEXT, _BETWEEN = "\x1e", SEPARATOR.encode()
_GAP = 2 * _BETWEEN


def ids_of(said: Mapping[str, Cells], options: CardOptions) -> list[str]:
    """As `card.id_of`: of the names of the fields that say something, and of what they say."""
    texts = _encoded(map(SEPARATOR.join, zip(*said.values(), strict=True)))
    sometimes = [name for name, column in said.items() if not all(column)]
    if not sometimes:
        return list(map(_digest, repeat(_begun(said, options)), texts))
    filled = list(zip(*(map(bool, said[name]) for name in sometimes), strict=True))
    for place in compress(range(len(texts)), map(not_, map(all, filled))):
        texts[place] = _without_gaps(texts[place])
    begun = {}
    for pattern in set(filled):
        missing = {name for name, is_filled in zip(sometimes, pattern, strict=True) if not is_filled}
        begun[pattern] = _begun((name for name in said if name not in missing), options)
    return list(map(_digest, map(begun.__getitem__, filled), texts))


def _begun(names: Iterable[str], options: CardOptions) -> "HASH":
    """The hash of what stands before the cells: half of what there is to hash, and the same for most cards."""
    return sha256(f"{said_first(names, options)}{SEPARATOR}".encode())


def _digest(begun: "HASH", text: bytes) -> str:
    whole = begun.copy()
    whole.update(text)
    return whole.hexdigest()


def _without_gaps(text: bytes) -> bytes:
    while _GAP in text:
        text = text.replace(_GAP, _BETWEEN)
    return text.strip(_BETWEEN)


def _encoded(texts: Iterable[str]) -> list[bytes]:
    # No common cell holds a control character.
    return _NEXT.join(texts).encode().split(_NEXT.encode())


def by_card(columns: dict[str, Cells], count: int) -> Iterable[dict[str, Any]]:
    """A dict for each card, of those columns that say something of it."""
    if not columns:
        return ({} for _ in range(count))
    every = map(_dict_of(tuple(columns)), *columns.values())
    sometimes = [name for name, column in columns.items() if not all(column)]
    return _without_empty(every, columns, sometimes) if sometimes else every


@lru_cache(maxsize=64)
def _dict_of(names: tuple[str, ...]) -> Callable[..., dict[str, Any]]:
    """What makes a dict of so many values, by these names in order."""
    # As a display that stands in the source, which takes half of what `dict(zip(...))` does. The names are our own.
    values = [f"value_{place}" for place in range(len(names))]
    items = ", ".join(f"{name!r}: {value}" for name, value in zip(names, values, strict=True))
    made: Callable[..., dict[str, Any]] = eval(f"lambda {', '.join(values)}: {{{items}}}")  # noqa: S307
    return made


def _without_empty(
    every: Iterable[dict[str, Any]], columns: Mapping[str, Cells], sometimes: Iterable[str]
) -> list[dict[str, Any]]:
    dicts = list(every)
    for name in sometimes:
        for known in compress(dicts, map(not_, columns[name])):
            del known[name]
    return dicts
