"""`kizashi model`: what a model file says, and what is wrong with it. No stack needed."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.common import Json, print_json
from services.scoring.core.doubts import doubts
from services.scoring.core.file_schema import render
from services.scoring.core.loader import load_model
from services.scoring.core.model import Model, ModelFaults
from services.scoring.core.wording import Language, Sentence, explain_model
from services.scoring.offline import FileFaults, decode_text, read_file
from shared.documents import Document, read_document

app = typer.Typer(add_completion=False, no_args_is_help=True)

ModelFile = Annotated[Path, typer.Argument(help="The model: YAML or JSON.", metavar="FILE")]
HEADINGS = {
    "en": {
        "engagement": "What a lead does",
        "fit": "Who a lead is",
        "bands": "Grades and levels",
        "stages": "Where a lead stands",
        "signals": "Told at once",
        "exclude": "Who is not scored",
        "watch": "Told when time passes",
        "accounts": "Companies",
    },
    "ja": {
        "engagement": "リードの行動",
        "fit": "リードの属性",
        "bands": "グレードとレベル",
        "stages": "購買プロセスの段階",
        "signals": "すぐに知らせる行動",
        "exclude": "採点しないリード",
        "watch": "時間の経過で知らせること",
        "accounts": "会社（アカウント）",
    },
}


@app.callback()
def _root() -> None:
    """Check a scoring model, or read it in plain words. Nothing is changed and no stack is needed."""


@app.command()
def check(file: ModelFile, as_json: Json = False) -> None:
    """Find every fault of a model file, each with its line; and what it probably does not mean. Exit 1 for faults."""
    text = _read(file)
    try:
        model = load_model(text, str(file))
    except ModelFaults as error:
        if as_json:
            print_json({"valid": False, "faults": _faults(error), "doubts": []})
        else:
            sys.stderr.write(f"{error}\n")
        raise typer.Exit(1) from None
    document = read_document(text)
    found = [{"path": one.where, "line": document.line(one.path), "doubt": one.expected} for one in doubts(model)]
    if as_json:
        print_json({"valid": True, "faults": [], "doubts": found})
        return
    for one in found:
        print(f"{file}:{one['line']}: {one['path']}: {one['doubt']}")
    print(f"{file}: {_summary(model, document)}")


@app.command()
def explain(
    file: ModelFile,
    lang: Annotated[Language, typer.Option("--lang", help="en or ja.")] = "en",
    as_json: Json = False,
) -> None:
    """Say every rule of a model file as a sentence, in English or Japanese."""
    try:
        sentences = explain_model(load_model(_read(file), str(file)), lang)
    except ModelFaults as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(1) from None
    if as_json:
        print_json([sentence.to_json() for sentence in sentences])
    else:
        _print(sentences, lang)


@app.command()
def schema() -> None:
    """Print the JSON Schema of model files, for editors; the same as config/schema/model.json."""
    sys.stdout.buffer.write(render())


def _read(file: Path) -> str:
    try:
        return decode_text(read_file(file))
    except FileFaults as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(1) from None


def _faults(error: ModelFaults) -> list[dict[str, object]]:
    return [
        {"path": fault.where, "line": line, "expected": fault.expected}
        for fault, line in zip(error.faults, error.lines, strict=True)
    ]


def _summary(model: Model, document: Document) -> str:
    rules = f"{len(model.engagement.rules)} engagement rules, {len(model.fit.rules)} fit rules"
    return f"a valid model, {model.model}: {rules}, {len(document.lines):,} values"


def _print(sentences: list[Sentence], lang: Language) -> None:
    section = ""
    for sentence in sentences:
        if sentence.section != section:
            section = sentence.section
            print(f"{HEADINGS[lang][section]}")
        print(f"  {sentence.id}: {sentence.text}" if sentence.id else f"  {sentence.text}")
