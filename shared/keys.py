"""API keys: `kz_<id>_<secret>`, kept as hashes in one JSON file that every service reads again when it changes."""

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import structlog

from shared.clock import from_rfc3339, to_rfc3339
from shared.errors import KizashiError, ProblemError

ADMIN = "admin"
SCOPES = (
    "activities:write",
    "leads:read",
    "leads:write",
    "models:write",
    "handoffs:read",
    "handoffs:write",
    ADMIN,
)
STALE_S = 0.005
"""How long a service may go by what it last saw of the file; a writer returns after twice that time."""
MAX_KNOWN = 4_096
"""How many checked headers are remembered; a guess costs one hash either way, so guesses are never remembered."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEY = re.compile(r"kz_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key as the file knows it; `hash` is the SHA-256 (hex) of the whole key, which itself is kept nowhere."""

    name: str
    id: str
    hash: str
    scopes: frozenset[str]
    created_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def state(self, now: datetime) -> str:
        """`active`, `expired` or `revoked` at `now`."""
        if self.revoked_at is not None and self.revoked_at <= now:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "active"

    def allows(self, scope: str) -> bool:
        """Whether the key may do what `scope` names."""
        return scope in self.scopes or ADMIN in self.scopes


def create_key(path: Path, name: str, scopes: Sequence[str], now: datetime) -> str:
    """Make a key and return its text, which is shown this once; in force when this returns. A second key of the same
    name may be in force beside the first, so that one can take over from the other.

    Raises KizashiError for an unknown scope, none at all, an unfit name, a name with two keys in force, or a file that
    cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise KizashiError("a key's name is 1 to 64 letters, digits, dots, dashes and underscores")
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise KizashiError(f"unknown scope {', '.join(unknown) or '(none)'}; expected some of {' '.join(SCOPES)}")
    key, text = _new_key(name, frozenset(scopes), now)
    _change(path, lambda keys: [*_beside(keys, name, now), key])
    return text


def rotate_key(path: Path, name: str, until: datetime, now: datetime) -> str:
    """Make a key that takes over from the one of that name: same scopes, while the old one ends at `until`.

    Returns the new key's text. Raises KizashiError for an unknown name, or one with two keys in force.
    """
    made: list[str] = []

    def apply(keys: list[ApiKey]) -> list[ApiKey]:
        kept = _beside(keys, name, now)
        old = [key for key in kept if key.name == name]
        if not old:
            raise KizashiError(f"there is no key named {name} in force")
        key, text = _new_key(name, old[0].scopes, now)
        made.append(text)
        ends = min(until, old[0].expires_at or until)
        return [*(replace(other, expires_at=ends) if other is old[0] else other for other in kept), key]

    _change(path, apply)
    return made[-1]


def _new_key(name: str, scopes: frozenset[str], now: datetime) -> tuple[ApiKey, str]:
    key_id = secrets.token_hex(6)
    text = f"kz_{key_id}_{secrets.token_urlsafe(32)}"
    return ApiKey(name, key_id, _hash(text), scopes, created_at=now), text


def _beside(keys: list[ApiKey], name: str, now: datetime) -> list[ApiKey]:
    """What stays in the file when a key of that name is added: those that are over make room."""
    kept = [key for key in keys if key.name != name or key.state(now) == "active"]
    if sum(key.name == name for key in kept) > 1:
        raise KizashiError(f"two keys named {name} are in force already; revoke one by its id, see `keys list`")
    return kept


def list_keys(path: Path) -> list[ApiKey]:
    """Every key of the file, in the order of their making. Raises KizashiError when the file is broken."""
    try:
        body = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise KizashiError(f"cannot read the key file {path}: {error.strerror}") from error
    try:
        return [_from_json(item) for item in orjson.loads(body)["keys"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KizashiError(f"the key file {path} is broken: expected what `kizashi keys` writes") from error


def revoke_key(path: Path, which: str, now: datetime) -> ApiKey:
    """End for ever, from `now` on, the key with that id or all of that name. Revoking again changes nothing.

    Raises KizashiError where there is none.
    """
    return _update(path, which, lambda key: key if key.revoked_at else replace(key, revoked_at=now))


def expire_key(path: Path, which: str, at: datetime, now: datetime) -> ApiKey:
    """Let the key with that id or name end at `at`, which replaces any earlier word on it.

    Raises KizashiError where there is none, and where two of that name are in force.
    """
    return _update(path, which, lambda key: replace(key, expires_at=at), one_in_force_at=now)


class KeyStore:
    """Checks keys against the file, which is looked at again after 5 ms: a system call less for most requests."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._looked_at = -STALE_S
        self._keys: dict[str, ApiKey] = {}
        self._known: dict[str, ApiKey] = {}
        self._broken = False

    def authorize(self, authorization_header: str | None, scope: str, now: datetime) -> ApiKey:
        """The key that a request carries.

        Raises ProblemError: 401 `unauthorized` for a missing, unknown, expired or revoked key, 403 `missing_scope`
        for a key that may not do this, 503 `keys_unreadable` when the file is broken (nothing is let in then).
        """
        self._refresh()
        if self._broken:
            raise ProblemError(503, "keys_unreadable", "The keys cannot be checked now.", headers={"Retry-After": "5"})
        key = self._known.get(authorization_header or "") or self._check(authorization_header)
        if key is None or key.state(now) != "active":
            detail = "A valid API key is needed: Authorization: Bearer kz_…"
            raise ProblemError(401, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})
        if not key.allows(scope):
            challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
            detail = f"The key lacks the scope {scope}."
            raise ProblemError(403, "missing_scope", detail, headers={"WWW-Authenticate": challenge})
        return key

    def _check(self, header: str | None) -> ApiKey | None:
        scheme, _, text = (header or "").partition(" ")
        match = _KEY.fullmatch(text.strip())
        if header is None or scheme.lower() != "bearer" or match is None:
            return None
        key = self._keys.get(match[1])
        if key is None or not hmac.compare_digest(key.hash.encode(), _hash(text.strip()).encode()):
            return None
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[header] = key
        return key

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._looked_at < STALE_S:
            return
        self._looked_at = now
        try:
            stat = self._path.stat()
            seen: tuple[int, int, int] | None = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
        except OSError:
            seen = None
        if seen == self._seen:
            return
        self._seen = seen
        self._known = {}
        try:
            self._keys = {key.id: key for key in list_keys(self._path)}
            self._broken = False
        except KizashiError as error:
            self._keys = {}
            self._broken = True
            log.error("keys_unreadable", detail=str(error))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _update(
    path: Path, which: str, change: Callable[[ApiKey], ApiKey], *, one_in_force_at: datetime | None = None
) -> ApiKey:
    changed: list[ApiKey] = []

    def apply(keys: list[ApiKey]) -> list[ApiKey]:
        meant = [key for key in keys if key.id == which] or [key for key in keys if key.name == which]
        if one_in_force_at is not None:
            active = [key for key in meant if key.state(one_in_force_at) == "active"]
            if len(active) > 1:
                raise KizashiError(f"{which} is the name of two keys: say {' or '.join(key.id for key in active)}")
            meant = active or meant
        if not meant:
            raise KizashiError(f"there is no key named {which}")
        result = [change(key) if key in meant else key for key in keys]
        changed.extend(new for new, old in zip(result, keys, strict=True) if old in meant)
        return result

    _change(path, apply)
    return changed[-1]


def _change(path: Path, change: Callable[[list[ApiKey]], list[ApiKey]]) -> None:
    """Replace the file by what `change` makes of it: whole or not at all, one writer at a time."""
    try:
        if not path.exists():
            # Whoever looks for a key finds out here that there is none, before a folder and a lock are made for it.
            change([])
        _replace(path, change)
    except OSError as error:
        raise KizashiError(f"cannot write the key file {path}: {error.strerror}") from error
    time.sleep(2 * STALE_S)


def _replace(path: Path, change: Callable[[list[ApiKey]], list[ApiKey]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with _lock(path):
        body = orjson.dumps({"keys": [_to_json(key) for key in change(list_keys(path))]}, option=orjson.OPT_INDENT_2)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    # The key file itself is replaced by each writer, so the lock needs a file that stays.
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _to_json(key: ApiKey) -> dict[str, Any]:
    instants = {"created_at": key.created_at, "expires_at": key.expires_at, "revoked_at": key.revoked_at}
    return {
        "name": key.name,
        "id": key.id,
        "hash": key.hash,
        "scopes": sorted(key.scopes),
        **{name: to_rfc3339(instant) for name, instant in instants.items() if instant},
    }


def _from_json(item: dict[str, Any]) -> ApiKey:
    instants = {name: from_rfc3339(item[name]) for name in ("created_at", "expires_at", "revoked_at") if item.get(name)}
    scopes = frozenset(str(scope) for scope in item["scopes"])
    return ApiKey(str(item["name"]), str(item["id"]), str(item["hash"]), scopes, **instants)
