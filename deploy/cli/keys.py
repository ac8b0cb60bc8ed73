"""`kizashi keys`: API keys, which live as hashes in one file that all services read again on change."""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.cli.common import DEFAULT_DATA_DIR, DataDir, Json, print_json
from deploy.local.paths import DataFolder
from shared.clock import from_rfc3339, system_clock, to_rfc3339
from shared.durations import parse_duration
from shared.keys import SCOPES, ApiKey, create_key, expire_key, list_keys, revoke_key, rotate_key
from shared.settings import Settings, load

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Create, list, rotate, revoke and expire API keys.")

Name = Annotated[str, typer.Argument(metavar="NAME|ID", help="The key's name or id, as `keys list` shows it.")]
GRACE = "7d"


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="A name for lists and logs; not part of the key.")],
    more: Annotated[list[str] | None, typer.Argument(metavar="[SCOPE]...", help="Further scopes.")] = None,
    scope: Annotated[list[str] | None, typer.Option("--scope", help=f"One of {', '.join(SCOPES)}.")] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: Json = False,
) -> None:
    """Make a key and print it, this once; it is in force when the command returns. A name may have two of them."""
    scopes = _scopes([*(scope or []), *(more or [])])
    store, data = _store(data_dir), DataFolder.at(data_dir)
    key = create_key(store, name, scopes, system_clock())
    if not data.was_used and DataFolder.at(store).path == data.key_store:
        typer.echo(f"kizashi: no stack has used {data.path} yet; the key is for one that is started on it", err=True)
    if as_json:
        print_json({"name": name, "key": key, "scopes": scopes})
    else:
        print(key)
        typer.echo(f"{name}: {' '.join(scopes)}. The key is kept nowhere; it cannot be shown again.", err=True)


@app.command("list")
def list_(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: Json = False) -> None:
    """Show every key with its scopes and whether it is in force."""
    now = system_clock()
    keys = [_describe(key, now) for key in list_keys(_store(data_dir))]
    if as_json:
        print_json(keys)
        return
    for key in keys:
        print(f"{key['name']:24} {key['state']:8} {key['id']} {' '.join(key['scopes'])}")


@app.command()
def rotate(
    name: Annotated[str, typer.Argument(help="The name of the key in force.")],
    after: Annotated[str, typer.Option("--in", help="How long the old key stays in force beside the new one.")] = GRACE,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: Json = False,
) -> None:
    """Make a key of the same name and scopes that takes over; the old one ends after 7 days, or what --in says."""
    now, store = system_clock(), _store(data_dir)
    key = rotate_key(store, name, _end(None, after, now), now)
    old, new = [known for known in list_keys(store) if known.name == name]
    end = to_rfc3339(old.expires_at or now)
    if as_json:
        print_json({"name": name, "key": key, "scopes": sorted(new.scopes), "old_key_expires_at": end})
    else:
        print(key)
        typer.echo(f"{name}: the old key ends at {end}. The new one cannot be shown again.", err=True)


@app.command()
def revoke(name: Name, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: Json = False) -> None:
    """End a key, or all keys of a name, for ever, at once."""
    now = system_clock()
    _report(revoke_key(_store(data_dir), name, now), now, as_json)


@app.command()
def expire(
    name: Name,
    at: Annotated[str | None, typer.Option("--at", help="An instant with offset (RFC 3339).")] = None,
    after: Annotated[str | None, typer.Option("--in", help="A span from now on, such as 30d or 12h.")] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: Json = False,
) -> None:
    """Let a key end at an instant: now, unless --at or --in says otherwise."""
    now = system_clock()
    _report(expire_key(_store(data_dir), name, _end(at, after, now), now), now, as_json)


def _end(at: str | None, after: str | None, now: datetime) -> datetime:
    if at is not None and after is not None:
        raise typer.BadParameter("give --at or --in, not both")
    try:
        if at is not None:
            return from_rfc3339(at)
        return now + parse_duration(after) if after is not None else now
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(str(error)) from None


def _scopes(given: list[str]) -> list[str]:
    scopes = list(dict.fromkeys(part for text in given for part in text.replace(",", " ").split()))
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        wrong = f"{unknown[0]!r} is no scope" if unknown else "at least one is needed"
        raise typer.BadParameter(f"{wrong}; expected some of {', '.join(SCOPES)}", param_hint="--scope")
    return scopes


def _store(data_dir: Path) -> Path:
    return load(Settings, {**os.environ, "KIZASHI_DATA_DIR": str(data_dir)}).key_store_path


def _describe(key: ApiKey, now: datetime) -> dict[str, Any]:
    instants = {"created_at": key.created_at, "expires_at": key.expires_at, "revoked_at": key.revoked_at}
    return {
        "name": key.name,
        "id": key.id,
        "scopes": sorted(key.scopes),
        "state": key.state(now),
        **{name: to_rfc3339(instant) if instant else None for name, instant in instants.items()},
    }


def _report(key: ApiKey, now: datetime, as_json: bool) -> None:
    described = _describe(key, now)
    if as_json:
        print_json(described)
    else:
        print(f"{key.name}: {described['state']}")
