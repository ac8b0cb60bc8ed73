"""What no one may do by the way, asked of the source itself: call out past the guard, compare secrets by `==`, sort a
page by a text that no index knows.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.paths import ROOT

SERVED = [path for top in ("services", "shared") for path in sorted((ROOT / top).rglob("*.py"))]

CALLS_OUT = re.compile(
    r"(socket|ssl|asyncio\.streams|http\.client|urllib\.request|xmlrpc|ftplib|smtplib|poplib|imaplib|telnetlib|nntplib"
    r"|httpx2?|httpcore2?|requests|aiohttp|urllib3|websockets|aiosmtplib|paramiko|dns)(\.|$)"
)
OPENS = frozenset({"open_connection", "create_connection", "urlopen", "getaddrinfo", "open_unix_connection"})
GUARDED = {
    "shared/outgoing/client.py": "the guard itself",
    "shared/outgoing/words.py": "knows errors by their kinds, and opens nothing",
    "services/handoff/channels.py": "makes the TLS settings that the guard uses",
    "services/handoff/destinations/mail.py": "speaks to the one mail server of the configuration",
}
"""Who may open connections to others, and why; clients of Kafka and PostgreSQL are libraries with one fixed address."""

SECRET = re.compile(r"secret|signature$|password|hmac|credential|authorization|api_key|verify_token", re.IGNORECASE)
COMPARED = {
    # No secret: what a step of a score is made of.
    ("services/scoring/core/next_change.py", "signature"),
    # Redacting a request that was found genuine before: its sender knows the secret.
    ("services/ingest/sources/rejected.py", "secret"),
    ("services/ingest/sources/rejected.py", "secrets"),
    ("services/ingest/sources/receive.py", "secrets"),
}


SORTED = re.compile(r"ORDER BY (.+?) LIMIT")


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def calls_out(tree: ast.AST) -> list[str]:
    """What in a module opens connections."""
    opened = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in OPENS]
    return [*filter(CALLS_OUT.match, _imports(tree)), *opened]


def compared_secrets(tree: ast.AST) -> list[str]:
    """Names of secrets in comparisons whose time tells how much was right."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare) or all(isinstance(op, ast.Is | ast.IsNot) for op in node.ops):
            continue
        for operand in (node.left, *node.comparators):
            name = operand.attr if isinstance(operand, ast.Attribute) else getattr(operand, "id", "")
            # Names in capitals are patterns, sets of field names and types.
            if name.islower() and SECRET.search(name) and not _with_nothing(node):
                found.append(name)
    return found


def sorted_by_texts(tree: ast.AST) -> list[str]:
    """Columns by which a page is sorted as the text that `SELECT column::text` makes of them: all rows are read then.

    In ORDER BY a bare name means the column of the answer, if there is one; `table.column` means that of the table.
    """
    queries = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    pages = [(query, page[1]) for query in queries for page in SORTED.finditer(query)]
    return [name for query, by in pages for name in re.findall(r"(?<![.\w])[a-z_]+", by) if f"{name}::text" in query]


def _with_nothing(node: ast.Compare) -> bool:
    """Comparing with a constant, a length or by order says nothing about a secret."""
    return any(isinstance(operand, ast.Constant) for operand in (node.left, *node.comparators))


@pytest.mark.parametrize("path", SERVED, ids=_name)
def test_whatever_calls_out_goes_through_the_guard(path: Path) -> None:
    found = calls_out(ast.parse(path.read_text(encoding="utf-8")))
    assert not found or _name(path) in GUARDED, f"{found}: use shared.outgoing"


@pytest.mark.parametrize("path", SERVED, ids=_name)
def test_secrets_are_compared_in_constant_time(path: Path) -> None:
    found = {(_name(path), name) for name in compared_secrets(ast.parse(path.read_text(encoding="utf-8")))}
    assert found <= COMPARED, f"{found}: use hmac.compare_digest"


@pytest.mark.parametrize(
    "text",
    [
        "import socket",
        "import http.client",
        "from httpx2 import get",
        "import urllib.request",
        "asyncio.open_connection(1)",
    ],
)
def test_the_first_question_finds_what_it_asks_for(text: str) -> None:
    assert calls_out(ast.parse(text))


@pytest.mark.parametrize(
    "text",
    ["given == secret", "self.secret != given", "given in secrets", "signature == made(body)", "a == config.password"],
)
def test_the_second_question_finds_what_it_asks_for(text: str) -> None:
    assert compared_secrets(ast.parse(text))


@pytest.mark.parametrize("path", SERVED, ids=_name)
def test_pages_are_sorted_by_columns(path: Path) -> None:
    found = sorted_by_texts(ast.parse(path.read_text(encoding="utf-8")))
    assert not found, f"{found}: name the table, as in lead.id"


@pytest.mark.parametrize(("by", "found"), [("id", ["id"]), ("score DESC, id", ["id"]), ("lead.id", []), ("at", [])])
def test_the_third_question_finds_what_it_asks_for(by: str, found: list[str]) -> None:
    assert sorted_by_texts(ast.parse(f'"SELECT id::text, at FROM lead" " ORDER BY {by} LIMIT 5"')) == found
