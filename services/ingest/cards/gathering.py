"""What is put together for each card from the cells of its columns: its id, and the dict of its attributes."""

from collections.abc import Callable, Collection, Iterable, Mapping, Set
from functools import lru_cache
from hashlib import sha256
from itertools import compress, repeat
from operator import not_
from typing import TYPE_CHECKING, Any

from services.ingest.cards.card import said_first
from services.ingest.cards.columns import Cells, Memo
from services.ingest.cards.options import CardOptions
from services.ingest.cards.plan import SEPARATOR

if TYPE_CHECKING:
    from hashlib import _Hash as HASH

_NEXT = "\x1e"
_BETWEEN_CARDS = f"{SEPARATOR}{_NEXT}{SEPARATOR}".encode()


def ids_of(said: Mapping[str, Cells], filled: Set[str], options: CardOptions) -> list[str]:
    """As `card.id_of`: of the names of the fields that say something, and of what they say. `filled` are those of which
    every card says something.
    """
    texts = _encoded(said.values(), gaps=len(filled) < len(said))
    sometimes = [name for name in said if name not in filled]
    if not sometimes:
        return list(map(_digest, repeat(_begun(said, options)), texts))

    def begun(are_there: tuple[bool, ...]) -> "HASH":
        missing = {name for name, is_there in zip(sometimes, are_there, strict=True) if not is_there}
        return _begun((name for name in said if name not in missing), options)

    patterns = zip(*(map(bool, said[name]) for name in sometimes), strict=True)
    return list(map(_digest, Memo(begun).read(patterns), texts))


def _encoded(columns: Collection[Cells], *, gaps: bool) -> list[bytes]:
    """What the cells of each card say, without those of nothing."""
    width = len(columns) + 1
    # No common cell holds a control character.
    cells = [_NEXT] * (width * len(next(iter(columns))))
    for place, column in enumerate(columns):
        cells[place::width] = column
    text = SEPARATOR.join(filter(None, cells) if gaps else cells)
    return text.removesuffix(f"{SEPARATOR}{_NEXT}").encode().split(_BETWEEN_CARDS)


def _begun(names: Iterable[str], options: CardOptions) -> "HASH":
    """The hash of what stands before the cells: half of what there is to hash, and the same for most cards."""
    return sha256(f"{said_first(names, options)}{SEPARATOR}".encode())


def _digest(begun: "HASH", text: bytes) -> str:
    whole = begun.copy()
    whole.update(text)
    return whole.hexdigest()


def by_card(columns: dict[str, Cells], filled: Set[str], count: int) -> Iterable[dict[str, Any]]:
    """A dict for each card, of those columns that say something of it; those in `filled` do so of every card."""
    if not columns:
        return ({} for _ in range(count))
    every = map(_dict_of(tuple(columns)), *columns.values())
    sometimes = [name for name, column in columns.items() if name not in filled and not all(column)]
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
