"""What was seen before in a list, against looking through all that came."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.cards.seen import Earlier, Seen
from shared.identity import EMAIL, PHONE, Identifier

# Records that are the same are of the same person.
CARDS = st.builds(
    lambda person, text: (f"{person}-{text}", Identifier(EMAIL, person)), st.sampled_from("abcd"), st.integers(0, 1)
)


def looked_through(cards: list[tuple[str, Identifier]]) -> list[Earlier | None]:
    found: list[Earlier | None] = []
    for place, (id_, person) in enumerate(cards):
        before = cards[:place]
        same = [number for number, (other, _) in enumerate(before, 1) if other == id_]
        of_person = [number for number, (_, other) in enumerate(before, 1) if other == person]
        if same:
            found.append(Earlier(same[0], same_record=True))
        else:
            found.append(Earlier(of_person[0], same_record=False) if of_person else None)
    return found


@pytest.mark.property
@given(st.lists(st.lists(CARDS, min_size=1, max_size=4), max_size=6), st.data())
def test_blocks_and_single_records_find_the_first_of_the_same(
    blocks: list[list[tuple[str, Identifier]]], data: st.DataObject
) -> None:
    seen, found, first = Seen(), list[Earlier | None](), 1
    for block in blocks:
        ids, emails = [id_ for id_, _ in block], [person.value for _, person in block]
        if data.draw(st.booleans()) and seen.add_all(ids, emails, first):
            found += [None] * len(block)
        else:
            found += [seen.add(id_, person, record) for record, (id_, person) in enumerate(block, first)]
        first += len(block)
    assert found == looked_through([card for block in blocks for card in block])


def test_a_person_known_by_a_phone_is_none_known_by_an_address() -> None:
    seen = Seen()
    assert seen.add_all(["1"], ["+819012345678"], 1)
    assert seen.add("2", Identifier(PHONE, "+819012345678"), 2) is None
    assert seen.add("3", Identifier(EMAIL, "+819012345678"), 3) == Earlier(1, same_record=False)
