"""Every number of the scoring guide, worked out again from the guide's own models and tables."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from deploy.cli.backtest import app as backtest_app
from deploy.cli.preview import lines_of
from services.scoring.core.compile import compile_model
from services.scoring.core.engine import fold_all
from services.scoring.core.loader import model_from
from services.scoring.core.preview import Preview, SeenLead, standing_of
from shared.documents import read_document
from tests.oracle import scoring as oracle
from tests.unit.scoring.core.builders import act

DOCS = Path(__file__).parents[3] / "docs"
GUIDES = ["scoring.md", "scoring.ja.md"]
NOON = "T12:00:00+09:00"
STEP = re.compile(r"^\| (\d{4}-\d\d-\d\d) \| (.+) \| ([\d.]+) \|$", re.M)
COUNTS = re.compile(r"^\| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", re.M)


def sections(guide: str) -> list[str]:
    return (DOCS / guide).read_text(encoding="utf-8").split("\n## ")[1:]


def model_of(section: str) -> dict[str, Any]:
    (found,) = re.findall(r"```yaml\n(.*?)```", section, re.S)
    tree: dict[str, Any] = read_document(found).tree
    return tree


def outputs(section: str) -> list[str]:
    return re.findall(r"```text\n(.*?)```", section, re.S)


STEPS = [(guide, number) for guide in GUIDES for number in range(5)]


@pytest.mark.parametrize(("guide", "number"), STEPS)
def test_every_step_has_the_score_it_says(guide: str, number: int) -> None:
    section = sections(guide)[number]
    tree = model_of(section)
    model = compile_model(model_from(tree))
    rows = STEP.findall(section)
    assert len(rows) >= 4
    acts: list[oracle.Act] = []
    for place, (day, what, score) in enumerate(rows):
        at = datetime.fromisoformat(day + NOON)
        kind = re.match(r"`(\w+)`", what)
        if kind:
            values = dict(pair.split("=", 1) for pair in what.split()[1:])
            is_profile = kind[1] == "profile_updated"
            acts.append(
                oracle.Act(
                    f"{place:02d}", "web", kind[1], at, {} if is_profile else values, values if is_profile else {}
                )
            )
        by_oracle = oracle.score(tree, acts, at).score
        engine = fold_all(
            model,
            [act(one.type, one.at, id=one.id, attributes=one.attributes, **one.properties) for one in acts],
            at,
        ).score
        assert (float(by_oracle or 0), (engine or 0) / 100) == (float(score), float(score)), (day, what)


def test_both_languages_say_the_same() -> None:
    english, japanese = (
        [
            (model_of(part) if "```yaml" in part else None, outputs(part), COUNTS.findall(part))
            for part in sections(guide)
        ]
        for guide in GUIDES
    )
    assert english == japanese
    days = [
        [(day, what, score) for part in sections(guide) for day, what, score in STEP.findall(part)] for guide in GUIDES
    ]
    assert [(day, score) for day, _, score in days[0]] == [(day, score) for day, _, score in days[1]]


def lead(documents: int, seminars: int) -> list[dict[str, Any]]:
    made = [("document_downloaded", {"document": f"d{n}"}) for n in range(documents)]
    made += [("seminar_attended", {"event": f"s{n}"}) for n in range(seminars)]
    return [{"type": kind, "properties": properties} for kind, properties in made]


@pytest.mark.parametrize("guide", GUIDES)
def test_the_preview_is_that_of_its_leads(guide: str) -> None:
    first, section = sections(guide)[0], sections(guide)[5]
    before, after = model_of(first), model_of(first)
    after["engagement"]["rules"][1]["points"] = 15
    at = datetime.fromisoformat("2026-10-01" + NOON)
    preview = Preview(5000)
    for number, (documents, seminars, was, becomes) in enumerate(COUNTS.findall(section)):
        acts = [
            act(one["type"], at, id=f"{n}", **one["properties"])
            for n, one in enumerate(lead(int(documents), int(seminars)))
        ]
        both = [fold_all(compile_model(model_from(tree)), acts, at) for tree in (before, after)]
        assert [one.to_json()["score"] for one in both] == [float(was), float(becomes)]
        preview.add([SeenLead((str(number), None, None, None), *map(standing_of, both))])
    shown = [
        line for line in lines_of(preview.to_json()) if line.endswith(("now, 3 then", "newly qualify", "drop out"))
    ]
    (expected,) = outputs(section)
    assert "\n".join(shown) + "\n" == expected


@pytest.mark.parametrize("guide", GUIDES)
def test_the_backtest_is_what_the_command_prints(guide: str, tmp_path: Path) -> None:
    first, section = sections(guide)[0], sections(guide)[6]
    activities, outcomes = [], []
    for group, (leads, documents, seminars, converted) in enumerate(COUNTS.findall(section)):
        for number in range(int(leads)):
            email = f"p{group}-{number}@example.com"
            for place, one in enumerate(lead(int(documents), int(seminars))):
                activities.append(
                    {**one, "id": f"{email}-{place}", "occurred_at": "2026-10-01" + NOON, "lead": {"email": email}}
                )
            outcome = "converted" if number < int(converted) else "lost"
            outcomes.append({"lead": email, "outcome": outcome, "at": "2026-11-01" + NOON})
    (tmp_path / "model.yaml").write_bytes(orjson.dumps(model_of(first)))
    for name, lines in (("activities", activities), ("outcomes", outcomes)):
        (tmp_path / f"{name}.ndjson").write_bytes(b"\n".join(map(orjson.dumps, lines)))
    (command,) = re.findall(r"kizashi backtest (.*)", section)
    words = [str(tmp_path / word) if "." in word else word for word in command.split()]
    printed = CliRunner().invoke(backtest_app, words).stdout
    (expected,) = outputs(section)
    assert [line for line in expected.splitlines() if line not in printed.splitlines()] == []
