"""What people said about who is one person: leads joined by hand, and leads taken apart again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from services.scoring.core.linking import LeadIdFor
from shared.identity import EMAIL, Identifier

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


def ties(
    link: Link,
    survivors: Iterable[Identifier],
    others: Iterable[Identifier],
    holds: Links,
    lead_id_for: LeadIdFor,
) -> list[Link]:
    """The joins that a join `link` needs beside it, said before it, to make one lead of all that the two leads own;
    `holds` is what holds among that.

    A word binds two identifiers, and what activities joined to these goes along: but not what somebody once took apart
    from the other lead, nor an e-mail where both leads have one. Each of those is tied to the anchor of its own lead,
    with which it leaves again where the two are taken apart.
    """
    anchor_of = {**dict.fromkeys(survivors, link.survivor), **dict.fromkeys(others, link.other)}
    emails = combinations([name for name in anchor_of if name.kind == EMAIL], 2)
    across = [pair for pair in (*holds.parted, *emails) if anchor_of[pair[0]] != anchor_of[pair[1]]]
    bound = _bound(holds.joined)
    tied: dict[str, str] = {}
    for name in [one for pair in across for one in pair]:
        if anchor_of[name] not in {lead_id_for(one) for one in bound.get(name, {name})}:
            tied[lead_id_for(name)] = anchor_of[name]
    return [Link(JOINED, anchor, name) for name, anchor in tied.items()]


def _bound(joined: Iterable[tuple[Identifier, Identifier]]) -> dict[Identifier, set[Identifier]]:
    """With what each identifier is one by hand."""
    bound: dict[Identifier, set[Identifier]] = {}
    for one, other in joined:
        together = bound.get(one, {one}) | bound.get(other, {other})
        bound.update(dict.fromkeys(together, together))
    return bound


def _pairs(links: Iterable[Link], known: dict[str, Identifier]) -> Iterable[tuple[Identifier, Identifier]]:
    for link in links:
        if link.survivor in known and link.other in known:
            yield known[link.survivor], known[link.other]
