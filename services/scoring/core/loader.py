"""A model file's text, or a tree from JSON, to a Model."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from services.scoring.core.checks import structural_faults
from services.scoring.core.model import Model, ModelFaults
from shared.conditions import Fault, distinct, faults_of
from shared.documents import Document, DocumentFaults, read_document


def load_model(text: str, name: str = "model") -> Model:
    """Read YAML 1.2 or JSON; `name` stands before the line in messages. Raises ModelFaults with every fault."""
    try:
        document = read_document(text)
    except DocumentFaults as error:
        faults, lines = zip(*error.faults, strict=True)
        raise ModelFaults(name, list(faults), list(lines)) from None
    return _validate(document.tree, name, document)


def model_from(tree: Any, name: str = "model") -> Model:
    """Validate an already parsed tree (a body of the API, a stored version). Raises ModelFaults with every fault."""
    return _validate(tree, name, None)


def _validate(tree: Any, name: str, document: Document | None) -> Model:
    if not isinstance(tree, Mapping):
        raise ModelFaults(name, [Fault((), "expected keys with values, such as model: b2b-standard")], [None])
    faults = list(structural_faults(tree))
    model = None
    try:
        model = Model.model_validate(tree)
    except ValidationError as error:
        faults += faults_of(error)
    if model is None or faults:
        faults = _without_echoes(distinct(faults))
        lines = [document.line(fault.path) if document else None for fault in faults]
        in_order = sorted(zip(faults, lines, strict=True), key=lambda pair: pair[1] or 0)
        raise ModelFaults(name, [fault for fault, _ in in_order], [line for _, line in in_order])
    return model


def _without_echoes(faults: list[Fault]) -> list[Fault]:
    """One fault per path: where a check of the whole and one of the value name the same path, the first says more."""
    return list({fault.path: fault for fault in reversed(faults)}.values())[::-1]
