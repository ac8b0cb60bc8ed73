"""What people said about who is one person: leads joined by hand, and leads taken apart again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.scoring.core.linking import LeadIdFor
from shared.identity import Identifier

JOINED, PARTED = "joined", "parted"


@dataclass(frozen=True, slots=True)
class Link:
    """One such word, kept for ever. Both leads go by the keyed hash of one identifier each, their anchor; `survivor`
    is the lead that the other was or had been merged into.
    """

    kind: str
    survivor: str
    other: str


@dataclass(frozen=True, slots=True)
class Links:
    """What holds in the end: pairs (survivor, other) that are one lead, and pairs that never become one by themselves.

    Pairs of joins stand in the order in which they were said.
    """

    joined: tuple[tuple[Identifier, Identifier], ...] = ()
    parted: tuple[tuple[Identifier, Identifier], ...] = ()


NO_LINKS = Links()


def links_among(said: Sequence[Link], identifiers: Iterable[Identifier], lead_id_for: LeadIdFor) -> Links:
    """What holds among `identifiers`, from everything that was said in order: the last word counts."""
    if not said:
        return NO_LINKS
    known = {lead_id_for(identifier): identifier for identifier in identifiers}
    joined: list[Link] = []
    parted: dict[frozenset[str], Link] = {}
    for link in said:
        pair = frozenset((link.survivor, link.other))
        if link.kind == JOINED:
            joined.append(link)
            parted.pop(pair, None)
        else:
            joined = [one for one in joined if one.other != link.other]
            parted[pair] = link
    return Links(tuple(_pairs(joined, known)), tuple(_pairs(parted.values(), known)))


def _pairs(links: Iterable[Link], known: dict[str, Identifier]) -> Iterable[tuple[Identifier, Identifier]]:
    for link in links:
        if link.survivor in known and link.other in known:
            yield known[link.survivor], known[link.other]
