"""Configuration text to plain data: YAML 1.2's core schema or JSON, keys as text, with the line of every value.

The library's own constructors still know YAML 1.1 (bare dates, `<<`), so only its parser is used.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML, MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from shared.conditions.faults import Fault, Path

MAX_BYTES = 1_048_576
MAX_VALUES = 20_000
MAX_DEPTH = 32
_CORE = "tag:yaml.org,2002:"
_CORE_SCHEMA: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
    (re.compile(r"~|null|Null|NULL|"), lambda _: None),
    (re.compile(r"true|True|TRUE"), lambda _: True),
    (re.compile(r"false|False|FALSE"), lambda _: False),
    (re.compile(r"[-+]?[0-9]{1,4000}"), int),
    (re.compile(r"0o[0-7]{1,400}|0x[0-9a-fA-F]{1,400}"), lambda text: int(text, 0)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), lambda text: float(text.replace(".", "", 1))),
)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: `tree` of dicts, lists and scalars; `lines` from path to line (from 1)."""

    tree: Any
    lines: dict[Path, int]

    def line(self, path: Path) -> int:
        """The line of `path`, or of the nearest value around it that exists."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class DocumentFaults(ValueError):
    """The text cannot be read as one document; `faults` pairs each fault with its line (from 1)."""

    def __init__(self, faults: list[tuple[Fault, int]]) -> None:
        super().__init__("; ".join(f"line {line}: {fault.expected}" for fault, line in faults))
        self.faults = faults


def read_document(text: str) -> Document:
    """Parse one document. Raises DocumentFaults for broken syntax, a key given twice, unknown tags, excessive size."""
    if len(text) > MAX_BYTES:
        raise DocumentFaults([(Fault((), f"expected at most {MAX_BYTES} characters"), 1)])
    node = _compose(text)
    reader = _Reader()
    try:
        tree = reader.value(node, ()) if node is not None else None
    except UnicodeDecodeError:
        raise DocumentFaults([(Fault((), "expected text without lone surrogates"), 1)]) from None
    if reader.faults:
        raise DocumentFaults(reader.faults)
    return Document(tree, reader.lines)


def _compose(text: str) -> Node | None:
    # JSON may be indented by tabs, YAML may not; outside of texts JSON holds tabs only as indentation.
    flow = text.lstrip("﻿ \t\r\n").startswith(("{", "["))
    try:
        node: Node | None = YAML(typ="safe", pure=True).compose(_without_tabs(text) if flow else text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DocumentFaults([(Fault((), f"broken YAML: {error.problem}"), mark.line + 1 if mark else 1)]) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise DocumentFaults([(Fault((), f"broken YAML: {str(error).splitlines()[0]}"), 1)]) from None
    return node


def _without_tabs(text: str) -> str:
    return re.sub(r"(?m)^[ \t]+", lambda indent: indent[0].replace("\t", " "), text)


class _Reader:
    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.faults: list[tuple[Fault, int]] = []

    def value(self, node: Node, path: Path) -> Any:
        self.lines[path] = line = node.start_mark.line + 1
        if len(path) > MAX_DEPTH or len(self.lines) > MAX_VALUES:
            raise DocumentFaults([(Fault(path[:8], f"expected at most {MAX_VALUES} values, {MAX_DEPTH} deep"), line)])
        if isinstance(node, MappingNode):
            return dict(self._entries(node, path))
        if isinstance(node, SequenceNode):
            return [self.value(child, (*path, index)) for index, child in enumerate(node.value)]
        return self._scalar(node, path, line)

    def _entries(self, node: MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                self.faults.append((Fault(path, "expected a plain text as key"), line))
                continue
            key = _joined(str(key_node.value))
            if key in seen:
                self.faults.append((Fault((*path, key), "is given twice"), line))
                continue
            seen.add(key)
            yield key, self.value(value_node, (*path, key))
            self.lines[(*path, key)] = line

    def _scalar(self, node: Node, path: Path, line: int) -> Any:
        tag = str(node.tag)
        if not tag.startswith(_CORE):
            self.faults.append((Fault(path, f"unknown tag {tag}"), line))
        # A plain scalar has style None; what the parser itself calls a text is one (`!!str 12`).
        if getattr(node, "style", None) or tag == _CORE + "str":
            return _joined(str(node.value))
        return _resolve(str(node.value))


def _resolve(text: str) -> Any:
    """A plain scalar by the core schema of YAML 1.2.2, section 10.3.2."""
    for pattern, construct in _CORE_SCHEMA:
        if pattern.fullmatch(text):
            return construct(text)
    return text


def _joined(text: str) -> str:
    """JSON writes signs beyond U+FFFF as two escapes, which YAML's parser leaves apart. Raises UnicodeDecodeError."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
