"""The measured blocks of the documents: made from stored results, and the same as what the documents show."""

from pathlib import Path

import orjson
import pytest

from deploy.bench.measuring import Line
from deploy.bench.page import PAGES, WHAT, Run, blocks, plot, read_run, stored_runs, written
from deploy.bench.registry import GOALS, GROUPS
from deploy.local.paths import ROOT
from shared.errors import KizashiError

MACHINE = {
    "measured_at": "2026-11-26T00:00:00Z",
    "processor": "p",
    "cores": 2,
    "memory_gib": 24,
    "system": "s",
    "python": "3.11",
}


def run(**values: float) -> Run:
    lines = {name: Line(name, 1_000.0, "x", limit=2_000.0, naive=100.0) for name in WHAT}
    return Run(MACHINE, lines | {name: Line(name, value, "x") for name, value in values.items()})


def test_every_line_is_described_in_both_languages() -> None:
    assert set(WHAT) == set(GOALS) == {name for group in GROUPS for name in group.lines}
    assert all(words["en"] and words["ja"] for words in WHAT.values())


def test_the_table_has_a_column_per_run_and_says_what_is_missed() -> None:
    rows = blocks([run(memory_ingest=100), run(memory_ingest=151)], "en")["table"].splitlines()
    (row,) = [row for row in rows if row.startswith("| `memory_ingest`")]
    assert row.endswith("| 100.0 x ✓ | 151.0 x ✗ | value ≤ 150 |")
    (row,) = [row for row in rows if row.startswith("| `scoring` ")]
    assert "| 1,000 x, **0.50**, ×10.0 ✗ |" in row


def test_a_block_is_replaced_and_the_rest_stays() -> None:
    text = "before\n<!-- measured: table -->\nold\n<!-- end -->\nafter\n"
    assert written(text, {"table": "new\n"}, ["table"], "page") == text.replace("old", "new")
    with pytest.raises(KizashiError, match="page: expected one block between <!-- measured: sizes -->"):
        written(text, {"sizes": ""}, ["sizes"], "page")


def test_a_file_that_is_no_result_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(orjson.dumps({"lines": []}))
    with pytest.raises(KizashiError, match=r"x\.json: expected what `kizashi bench --json` prints"):
        read_run(path)


def test_a_result_is_read_as_it_was_printed(tmp_path: Path) -> None:
    line = Line("scoring", 50.0, "activities/s", 0.1, 100.0, 0.05, 5.0)
    path = tmp_path / "x.json"
    path.write_bytes(orjson.dumps({"machine": MACHINE, "lines": [line.to_json()]}))
    assert read_run(path) == Run(MACHINE, {"scoring": line})


def test_what_was_measured_apart_joins_its_run(tmp_path: Path) -> None:
    for name, line in (
        ("1", Line("scoring", 1.0, "x")),
        ("2", Line("scoring", 2.0, "x")),
        ("1-growth", Line("growth", 3.0, "x")),
    ):
        (tmp_path / f"{name}.json").write_bytes(orjson.dumps({"machine": MACHINE, "lines": [line.to_json()]}))
    first, second = stored_runs(tmp_path)
    assert (list(first.lines), list(second.lines)) == (["scoring", "growth"], ["scoring"])
    assert first.lines["scoring"].value == 1.0


def test_the_plot_asks_no_other_host() -> None:
    drawn = plot([run()])
    assert "end_to_end_p99_80" in drawn
    assert "url(" not in drawn.replace("url(#", "")


@pytest.mark.parametrize("page", PAGES)
def test_the_documents_show_what_was_measured(page: str) -> None:
    runs = stored_runs()
    assert runs
    language, wanted = PAGES[page]
    text = (ROOT / page).read_text(encoding="utf-8")
    assert written(text, blocks(runs, language), wanted, page) == text
