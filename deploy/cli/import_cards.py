"""`kizashi import`: a list of business cards to the ingest service, or read offline."""

import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import orjson
import typer

from deploy.cli.common import DEFAULT_DATA_DIR, DataDir, Json, check_key, fail, progress, seekable, stack_addresses
from deploy.cli.importing import OnProgress, offline, online, told_faults
from services.ingest.cards.headers import FIELDS
from services.ingest.cards.notes import Language
from services.ingest.cards.options import NAMES, CardOptions, OptionFaults, read_options
from services.ingest.cards.report import CSV, Rendering
from services.ingest.settings import IngestLimits
from shared.settings import Settings, load

app = typer.Typer(add_completion=False)

Told = Iterator[dict[str, Any]]


def _text(name: str, metavar: str, flag: str = "") -> Any:
    return typer.Option(f"--{flag or name.replace('_', '-')}", metavar=metavar, help=NAMES[name].replace("`", ""))


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The list: CSV or tab-separated.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report, with a preview; needs no stack.")] = False,
    as_json: Json = False,
    report: Annotated[Path | None, typer.Option(dir_okay=False, help="Also write the report as CSV.")] = None,
    encoding: Annotated[str, typer.Option(help="Encoding of that CSV: utf-8 (with a mark) or cp932.")] = "utf-8",
    source: Annotated[str, _text("source", "NAME")] = "",
    event: Annotated[str, _text("event", "NAME")] = "",
    activity: Annotated[str, _text("activity", "TYPE")] = "",
    occurred_at: Annotated[str, _text("occurred_at", "DATE")] = "",
    consent: Annotated[str, _text("consent", "PURPOSES")] = "",
    consent_at: Annotated[str, _text("consent_at", "DATE")] = "",
    consent_text: Annotated[str, _text("consent_text", "TEXT")] = "",
    silent: Annotated[
        bool, typer.Option("--silent", help="The cards are history: score them, hand no lead over.")
    ] = False,
    column: Annotated[
        list[str] | None, typer.Option(metavar="NAME=FIELD", help=f"What a column is: {', '.join(sorted(FIELDS))}.")
    ] = None,
    from_encoding: Annotated[str, _text("encoding", "NAME", "from-encoding")] = "",
    delimiter: Annotated[str, _text("delimiter", "NAME")] = "",
    timezone: Annotated[str, _text("timezone", "ZONE")] = "",
    language: Annotated[str, typer.Option(help="Of the notes: en or ja; default: the terminal's.")] = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    url: Annotated[str | None, typer.Option(help="The ingest service; default: that of the running stack.")] = None,
    key: Annotated[str | None, typer.Option(help="An API key; default: the stack's own.")] = None,
) -> None:
    """Import business cards: every good record becomes an activity, every bad one is reported. Twice counts once."""
    _check_report(report, file)
    check_key(key)
    given = {
        "source": source,
        "event": event,
        "activity": activity,
        "occurred_at": occurred_at,
        "consent": consent,
        "consent_at": consent_at,
        "consent_text": consent_text,
        "timezone": timezone,
        "encoding": from_encoding,
        "delimiter": delimiter,
        "columns": _columns(column or []),
        "dry_run": "true" if dry_run else "",
        "silent": "true" if silent else "",
        "report_encoding": encoding,
        "language": language or _language(),
    }
    fields = {name: text for name, text in given.items() if text}
    options = _read(fields)
    address = None if dry_run else _where(url, key, data_dir)
    writing = Rendering(CSV, options.report_encoding, options.language)
    with (
        # A byte too many is enough for whoever reads it to refuse it.
        seekable(file, IngestLimits().max_import_bytes + 1) as path,
        progress().part("Cards", "read" if dry_run else "imported", max(1, path.stat().st_size)) as part,
    ):
        told = _told(path, address, fields, options, part.advance)
        _print(_hold(_kept(told, report, writing), as_json))


def _read(fields: Mapping[str, str]) -> CardOptions:
    try:
        return read_options(fields, region=load(Settings).region)
    except OptionFaults as error:
        raise typer.BadParameter(told_faults(error)) from None


def _told(
    path: Path, address: tuple[str, str] | None, fields: Mapping[str, str], options: CardOptions, advance: OnProgress
) -> Told:
    """What becomes of each record: by the service at `address`, or without one by reading alone."""
    if address is not None:
        yield from online(*address, path, fields, advance)
        return
    with path.open("rb") as opened:
        yield from offline(opened, options, advance)


def _check_report(report: Path | None, file: Path) -> None:
    if report is not None and report.exists() and report.samefile(file):
        raise typer.BadParameter(f"{report} is the list itself; name another file", param_hint="--report")


def _print(held: IO[bytes]) -> None:
    with held:
        held.seek(0)
        shutil.copyfileobj(held, sys.stdout.buffer)


def _where(url: str | None, key: str | None, data_dir: Path) -> tuple[str, str]:
    if url is not None and key is not None:
        return url, key
    stack = stack_addresses(data_dir)
    return url or stack.url("ingest"), key or stack.cli_key


def _columns(given: list[str]) -> str:
    told = dict(one.rpartition("=")[::2] for one in given)
    if any(not name or not field for name, field in told.items()):
        raise typer.BadParameter("--column: expected NAME=FIELD, such as 得意先=company")
    return orjson.dumps(told).decode() if told else ""


def _language() -> Language:
    told = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return "ja" if told.startswith("ja") else "en"


def _kept(told: Told, report: Path | None, writing: Rendering) -> Told:
    """The lines as they come, written to the CSV as well."""
    if report is None:
        yield from told
        return
    try:
        with _replaced(report) as opened:
            opened.write(writing.begin())
            for line in told:
                if "record" in line:
                    opened.write(writing.records([line]))
                yield line
    except OSError as error:
        raise fail(f"{report}: cannot be written ({error.strerror})") from None


@contextmanager
def _replaced(path: Path) -> Iterator[IO[bytes]]:
    """What is written takes the place of the file once it is whole; until then what was there stays."""
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            yield device
        return
    target = path.resolve()
    draft = target.with_name(f"{target.name}.{secrets.token_hex(4)}.new")
    try:
        with draft.open("xb") as opened:
            yield opened
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _hold(told: Told, as_json: bool) -> IO[bytes]:
    """What will be printed: on a terminal nothing may be while the bar stands, and a list can be longer than memory."""
    held = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        for line in told:
            if as_json:
                held.write(orjson.dumps(line) + b"\n")
            else:
                text = _record_text(line) if "record" in line else _summary_text(line["summary"])
                held.write(text.encode("utf-8", "replace") + b"\n")
    except BaseException:
        held.close()
        raise
    return held


def _record_text(line: dict[str, Any]) -> str:
    """`  12  accepted  山田 太郎 <taro@example.co.jp>`, with the notes below."""
    activity = line.get("activity") or {}
    lead, attributes = activity.get("lead") or {}, activity.get("attributes") or {}
    address = lead.get("email") or lead.get("phone")
    who = " ".join(filter(None, (attributes.get("name"), f"<{address}>" if address else None)))
    first = f"{line['record']:>6}  {line['status']:<8}  {who}".rstrip()
    return "\n".join([first, *(f"{'':>18}{note}" for note in line["notes"])])


def _summary_text(summary: dict[str, Any]) -> str:
    counts = ", ".join(f"{summary[name]:,} {name}" for name in ("accepted", "refused", "empty") if name in summary)
    twice = f"{summary['duplicates']:,} of them twice in the list"
    consent = f"{summary['without_consent']:,} without consent, {summary['opt_outs']:,} with an opt-out"
    lines = [
        f"{summary['records']:,} records: {counts}; {twice}, {consent}",
        f"read as {summary['encoding']}, {summary['delimiter']} between cells, header in line {summary['header_line']}",
        *summary["notes"],
    ]
    for shown in summary.get("preview", ()):
        lines += [f"in {shown['encoding']}:", *(f"    {line}" for line in shown["lines"])]
    if summary["dry_run"]:
        lines.append("dry run: nothing was stored")
    if summary.get("durability") == "spool":
        lines.append("Kafka is away; everything is kept on disk until it is back")
    return "\n".join(lines)
