"""`kizashi links`: tracked links and open pixels for mails, one or a column of them per recipient."""

import csv
import io
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.cli.common import DEFAULT_DATA_DIR, DataDir, Json, fail, print_json, write_file
from deploy.local import state
from deploy.local.paths import DataFolder
from services.ingest.links import CLICK, OPEN
from services.ingest.settings import IngestSettings
from services.ingest.site.config import web_address
from services.ingest.site.names import usual_target
from services.ingest.site.tokens import Mark, Tokens
from shared.clock import from_rfc3339, system_clock
from shared.identity import normalise_email
from shared.settings import load

EXTERNAL = "external_id"
ENCODINGS = ("utf-8-sig", "cp932")

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Make tracked links for mails.")


@app.callback()
def _group() -> None:
    """Make tracked links for mails."""


def _address(text: str) -> tuple[str, str]:
    """`URL`, or `NAME=URL`; the name is the link's id."""
    name, given, url = text.partition("=")
    if not given or "/" in name:
        name, url = "", text
    try:
        return name, web_address(url)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@app.command()
def create(
    urls: Annotated[list[str], typer.Argument(metavar="[NAME=]URL…", help="Where the links lead.")],
    email: Annotated[str | None, typer.Option(help="The recipient's address.")] = None,
    external_id: Annotated[str | None, typer.Option(help="The recipient in another system, as SYSTEM:ID.")] = None,
    recipients: Annotated[
        Path | None,
        typer.Option("--csv", exists=True, dir_okay=False, help=f"Recipients: a column email or {EXTERNAL}."),
    ] = None,
    out: Annotated[Path | None, typer.Option(dir_okay=False, help="Where to write the CSV; default stdout.")] = None,
    email_id: Annotated[str | None, typer.Option(help="The mail: its clicks are email_clicked.")] = None,
    campaign: Annotated[str | None, typer.Option(help="The campaign.")] = None,
    pixel: Annotated[bool, typer.Option("--pixel", help="Also an open pixel.")] = False,
    honeypot: Annotated[bool, typer.Option("--honeypot", help="Also a link that people do not see.")] = False,
    sent_at: Annotated[str | None, typer.Option(help="When the mail goes out (RFC 3339); default now.")] = None,
    base_url: Annotated[str | None, typer.Option(help="The public address of the ingest service.")] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: Json = False,
) -> None:
    """Make links that tell who clicked. Without --csv for one recipient, with it a column per link for each row."""
    if (recipients is None) == (email is None and external_id is None):
        raise typer.BadParameter("give --csv, or one recipient by --email or --external-id")
    if recipients is not None and as_json:
        raise typer.BadParameter("--json is for one recipient; with --csv a CSV is written")
    data = DataFolder.at(data_dir)
    maker = _Maker(_tokens(data), base_url or _running(data), [_address(url) for url in urls], pixel, honeypot)
    mark = Mark(None, email_id=email_id, campaign=campaign, sent_at=_seconds(sent_at))
    if recipients is None:
        made = maker.for_one(replace(mark, **_recipient(email, external_id)))
        if as_json:
            print_json({"email": email, "external_id": external_id, **made})
        else:
            print("\n".join(made.values()))
        return
    text, encoding = _read(recipients)
    written = io.StringIO(newline="")
    skipped = _write(text, written, maker, mark)
    raw = written.getvalue().encode(encoding, "replace")
    if out is None:
        sys.stdout.buffer.write(raw)
    else:
        write_file(out, raw)
    for line, why in skipped:
        print(f"line {line}: {why}; no links", file=sys.stderr)


class _Maker:
    def __init__(
        self, tokens: Tokens, base_url: str, links: Sequence[tuple[str, str]], pixel: bool, honeypot: bool
    ) -> None:
        self._tokens = tokens
        self._base = base_url.rstrip("/")
        self._links = [
            (name or ("" if len(links) == 1 else str(number)), url) for number, (name, url) in enumerate(links, 1)
        ]
        self._pixel, self._honeypot = pixel, honeypot
        twice = next((name for name, _ in self._links if [other for other, _ in self._links].count(name) > 1), None)
        if twice is not None:
            raise typer.BadParameter(f"two links are named {twice}; give each a name of its own")

    @property
    def columns(self) -> list[str]:
        """The names of what is made for each recipient."""
        more = [name for name, wanted in (("pixel", self._pixel), ("honeypot", self._honeypot)) if wanted]
        return [*(f"link_{name}" if name else "link" for name, _ in self._links), *more]

    def for_one(self, mark: Mark) -> dict[str, str]:
        """The addresses for one recipient, by column."""
        made = [self._click(replace(mark, url=url, link=name or None)) for name, url in self._links]
        if self._pixel:
            made.append(f"{self._base}{OPEN}{self._tokens.seal(mark)}.gif")
        if self._honeypot:
            made.append(self._click(replace(mark, url=self._links[0][1], link="honeypot", honeypot=True)))
        return dict(zip(self.columns, made, strict=True))

    def _click(self, mark: Mark) -> str:
        return f"{self._base}{CLICK}{self._tokens.seal(mark)}"


def _tokens(data: DataFolder) -> Tokens:
    env = dict(os.environ)
    if not {"KIZASHI_IDENTITY_SECRET", "KIZASHI_IDENTITY_SECRET_FILE"} & env.keys() and data.identity_secret.exists():
        env["KIZASHI_IDENTITY_SECRET_FILE"] = str(data.identity_secret)
    settings = load(IngestSettings, env)
    return Tokens(settings.identity_key, settings.ingest.link_key_version, settings.ingest.link_key_oldest)


def _running(data: DataFolder) -> str:
    now = state.read(data.state)
    if now is None or "ingest" not in now.addresses.services:
        raise typer.BadParameter("give the public address of the ingest service", param_hint="--base-url")
    return now.addresses.services["ingest"]


def _seconds(sent_at: str | None) -> int:
    try:
        return int((from_rfc3339(sent_at) if sent_at else system_clock()).timestamp())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--sent-at") from None


def _recipient(email: str | None, external_id: str | None) -> dict[str, Any]:
    """The recipient's part of a mark. Raises BadParameter."""
    named: dict[str, Any] = {}
    if email:
        try:
            named["email"] = normalise_email(email)
        except ValueError as error:
            raise typer.BadParameter(f"{email}: {error}") from None
    if external_id:
        system, _, known_as = external_id.partition(":")
        if not system or not known_as or len(system) > 64 or len(known_as) > 256 or " " in system:
            raise typer.BadParameter(f"{external_id}: expected SYSTEM:ID, such as hubspot:138017")
        named[EXTERNAL] = external_id
    return named


def _read(path: Path) -> tuple[str, str]:
    raw = path.read_bytes()
    for encoding in ENCODINGS:
        try:
            return raw.decode(encoding), "utf-8" if encoding == "utf-8-sig" and raw[:1] != b"\xef" else encoding
        except UnicodeDecodeError:
            continue
    raise fail(f"{path} is neither UTF-8 nor Shift_JIS")


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with the line it ends on. Ends the command where the text is no CSV."""
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise fail(f"line {reader.line_num}: cannot be read as CSV ({error})") from None


def _write(text: str, written: io.StringIO, maker: _Maker, mark: Mark) -> list[tuple[int, str]]:
    rows = _rows(text)
    writer = csv.writer(written)
    header = next((row for _, row in rows), [])
    mail = next((place for place, name in enumerate(header) if usual_target(name) == "lead.email"), None)
    other = next((place for place, name in enumerate(header) if name.strip().lower() == EXTERNAL), None)
    if mail is None and other is None:
        raise fail(f"the first line names no column email (メールアドレス) or {EXTERNAL}")
    writer.writerow([*header, *maker.columns])
    skipped = []
    for line, row in rows:
        if not row:
            continue
        try:
            named = _recipient(*(_cell(row, place) for place in (mail, other)))
            why = "" if named else "names no recipient"
        except typer.BadParameter as error:
            named, why = {}, error.message
        padded = [*row, *[""] * (len(header) - len(row))]
        if why:
            skipped.append((line, why))
            writer.writerow([*padded, *[""] * len(maker.columns)])
        else:
            writer.writerow([*padded, *maker.for_one(replace(mark, **named)).values()])
    return skipped


def _cell(row: Sequence[str], place: int | None) -> str | None:
    return row[place].strip() if place is not None and place < len(row) else None
