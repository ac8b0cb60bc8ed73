"""Every code that a service answers with has a page at `/problems/{code}`, and every page a code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.paths import ROOT
from shared.web.explanations import EXPLANATIONS
from shared.web.problems import CODES

SERVED = [path for top in ("services", "shared") for path in sorted((ROOT / top).rglob("*.py"))]
RAISING = {"ProblemError": 1, "NoList": 0}
"""What makes a problem, and which of its arguments is the code."""
HELPERS = {"services/ingest/webhooks.py": {"self._unavailable": 0}}
WORKED_OUT = {
    # An argument of the function around it, whose callers are looked at.
    ("services/handoff/managing.py", "code"): {"invalid_fields", "address_refused"},
    ("services/ingest/webhooks.py", "code"): set(),
    ("services/handoff/destination_routes.py", "f'{what}_not_found'"): {"destination_not_found", "attempt_not_found"},
    ("services/ingest/imports.py", "TOO_MANY"): {"too_many_records"},
    ("services/ingest/imports.py", "error.code"): set(),
    ("services/ingest/webhooks.py", "_code(received.verdict.reason)"): {
        "invalid_signature",
        "signature_missing",
        "signature_expired",
        "wrong_secret",
    },
    # The framework's own errors.
    ("shared/web/problems.py", "code"): set(CODES.values()),
    ("shared/web/problems.py", "CODES[415]"): {CODES[415]},
    ("shared/web/problems.py", "CODES[422]"): {CODES[422]},
}
"""Codes that do not stand where the problem is made, by file and expression."""


def made(path: Path) -> Iterator[ast.expr]:
    """What stands for the code wherever a problem is made in a file."""
    raising = RAISING | HELPERS.get(path.relative_to(ROOT).as_posix(), {})
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            named = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            if name in raising and (named or len(node.args) > raising[name]):
                yield named[0] if named else node.args[raising[name]]


def codes() -> set[str]:
    found: set[str] = set()
    for path in SERVED:
        for code in made(path):
            if isinstance(code, ast.Constant):
                found.add(str(code.value))
            else:
                found |= WORKED_OUT[(path.relative_to(ROOT).as_posix(), ast.unparse(code))]
    return found


def test_every_code_is_explained_and_every_explanation_is_of_a_code() -> None:
    assert codes() == EXPLANATIONS.keys()


@pytest.mark.parametrize("code", sorted(EXPLANATIONS))
def test_an_explanation_is_a_sentence(code: str) -> None:
    assert EXPLANATIONS[code].endswith(".")
    assert "  " not in EXPLANATIONS[code]
