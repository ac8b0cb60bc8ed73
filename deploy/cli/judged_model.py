"""The model that a preview or a backtest is about: a file, or what is in force."""

import sys
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import typer

from deploy.cli.common import StackAddresses
from services.scoring.core.loader import load_model
from services.scoring.core.model import ModelFaults
from services.scoring.model_repository import ModelRepository
from services.scoring.offline import decode_text, read_file
from shared.documents import read_document
from shared.errors import KizashiError

Model = Annotated[Path, typer.Option("--model", exists=True, dir_okay=False, help="The model: YAML or JSON.")]


def tree_of(file: Path) -> dict[str, Any]:
    """What a model file says. Ends the command with exit code 1 and every fault of a faulty one."""
    text = decode_text(read_file(file))
    try:
        load_model(text, str(file))
    except ModelFaults as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(1) from None
    tree: dict[str, Any] = read_document(text).tree
    return tree


async def model_in_force(stack: StackAddresses, name: str) -> tuple[int, dict[str, Any]]:
    """Version and content of the model of this name in force on a stack. Raises KizashiError where none is."""
    conn = await asyncpg.connect(stack.settings.database.url.get_secret_value())
    try:
        repository = ModelRepository(conn)
        in_force = await repository.in_force()
        if name not in in_force:
            known = ", ".join(sorted(in_force)) or "none"
            raise KizashiError(f"no model {name} is in force on this stack (there is: {known})")
        row = await repository.version(name, in_force[name])
    finally:
        await conn.close()
    assert row is not None
    return row.version, dict(row.body)
