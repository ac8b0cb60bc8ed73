"""What a preview counts, against plain counting."""

import random

from services.scoring.core.preview import Preview, SeenLead, Standing


def test_counts_names_distribution_and_moves() -> None:
    dice = random.Random(7)

    def standing() -> Standing:
        score = None if dice.random() < 0.1 else dice.randrange(-1500, 9000)
        return Standing(score, dice.choice("AB"), dice.choice("12"), dice.choice([None, "research"]))

    leads = [SeenLead((f"{n:04d}", f"name {n}", None, None), standing(), standing()) for n in range(500)]
    preview = Preview(5000)
    for start in range(0, 500, 37):
        preview.add(leads[start : start + 37])
    found = preview.to_json()

    def hot(one: Standing) -> bool:
        return one.score is not None and one.score >= 5000

    gained = {lead.known_as[0] for lead in leads if hot(lead.after) and not hot(lead.before)}
    lost = {lead.known_as[0] for lead in leads if hot(lead.before) and not hot(lead.after)}
    assert (found["leads"], found["qualify"]["count"], found["drop_out"]["count"]) == (500, len(gained), len(lost))
    assert {lead["lead_id"] for lead in found["qualify"]["leads"]} == gained
    assert {lead["lead_id"] for lead in found["drop_out"]["leads"]} == lost
    assert found["at_or_above"]["after"] - found["at_or_above"]["before"] == len(gained) - len(lost)
    assert sum(band["before"] for band in found["distribution"]) == sum(lead.before.score is not None for lead in leads)
    for band in found["distribution"]:
        inside = [
            lead
            for lead in leads
            if lead.after.score is not None and band["from"] <= lead.after.score / 100 < band["to"]
        ]
        assert band["after"] == len(inside)
    moved = sum(move["leads"] for move in found["moves"] if move["what"] == "grade")
    assert moved == sum(lead.before.grade != lead.after.grade for lead in leads)
    first, second = found["qualify"]["leads"][:2]
    assert abs((first["after"] or 0) - (first["before"] or 0)) >= abs((second["after"] or 0) - (second["before"] or 0))


def test_a_version_that_excludes_everyone_is_warned_of() -> None:
    preview = Preview(5000)
    preview.add([SeenLead(("a", None, None, None), Standing(6000, "A", "1", None), Standing(None, None, None, None))])
    assert preview.warnings == [
        "the version excludes every lead: nobody would have a score",
        "no lead at all would be at the threshold or above",
    ]
