import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from shared.errors import KizashiError, ProblemError
from shared.keys import SCOPES, KeyStore, create_key, expire_key, list_keys, revoke_key, rotate_key

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "keys.json"


def refused(store: KeyStore, header: str | None, scope: str = "leads:read", now: datetime = NOW) -> tuple[int, str]:
    with pytest.raises(ProblemError) as caught:
        store.authorize(header, scope, now)
    return caught.value.status, caught.value.code


def test_a_key_opens_what_its_scopes_name(path: Path) -> None:
    key = create_key(path, "website", ["activities:write", "leads:read"], NOW)
    store = KeyStore(path)
    assert store.authorize(f"Bearer {key}", "leads:read", NOW).name == "website"
    assert store.authorize(f"bearer  {key}", "activities:write", NOW).id == key[3:15]
    assert refused(store, f"Bearer {key}", "leads:write") == (403, "missing_scope")


@pytest.mark.parametrize("scope", SCOPES)
def test_admin_opens_everything(path: Path, scope: str) -> None:
    key = create_key(path, "local-cli", ["admin"], NOW)
    assert KeyStore(path).authorize(f"Bearer {key}", scope, NOW).allows(scope)


def test_what_is_no_key_is_refused(path: Path) -> None:
    key = create_key(path, "a", ["leads:read"], NOW)
    store = KeyStore(path)
    wrong = key[:-1] + ("A" if key[-1] != "A" else "B")
    for header in (None, "", key, f"Basic {key}", f"Bearer {wrong}", f"Bearer {key}x", "Bearer ", "Bearer kz_"):
        assert refused(store, header) == (401, "unauthorized"), header


def test_the_file_holds_no_key_and_is_private(path: Path) -> None:
    key = create_key(path, "a", ["leads:read"], NOW)
    assert key not in path.read_text()
    assert key.rpartition("_")[2] not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    entry = orjson.loads(path.read_bytes())["keys"][0]
    assert entry.keys() == {"name", "id", "hash", "scopes", "created_at"}


def test_a_change_is_in_force_when_the_change_returns(path: Path) -> None:
    store = KeyStore(path)
    assert refused(store, "Bearer x") == (401, "unauthorized")
    key = create_key(path, "a", ["leads:read"], NOW)
    assert store.authorize(f"Bearer {key}", "leads:read", NOW).name == "a"
    revoke_key(path, "a", NOW)
    assert refused(store, f"Bearer {key}") == (401, "unauthorized")


def test_an_expired_key_is_refused_from_its_instant_on(path: Path) -> None:
    key = create_key(path, "a", ["leads:read"], NOW)
    end = NOW + timedelta(hours=1)
    assert expire_key(path, "a", end, NOW).expires_at == end
    store = KeyStore(path)
    assert store.authorize(f"Bearer {key}", "leads:read", end - timedelta(microseconds=1)).name == "a"
    assert refused(store, f"Bearer {key}", now=end) == (401, "unauthorized")


def test_revoking_again_keeps_the_first_instant(path: Path) -> None:
    create_key(path, "a", ["leads:read"], NOW)
    revoke_key(path, "a", NOW)
    assert revoke_key(path, "a", NOW + timedelta(days=1)).revoked_at == NOW


def test_the_name_of_a_revoked_key_is_free_again(path: Path) -> None:
    create_key(path, "a", ["leads:read"], NOW)
    revoke_key(path, "a", NOW)
    key = create_key(path, "a", ["leads:write"], NOW)
    assert KeyStore(path).authorize(f"Bearer {key}", "leads:write", NOW).name == "a"
    assert len(list_keys(path)) == 1


def test_one_key_takes_over_from_another_without_a_gap(path: Path) -> None:
    old, store, end = create_key(path, "a", ["leads:read"], NOW), KeyStore(path), NOW + timedelta(days=7)
    new = rotate_key(path, "a", end, NOW)
    for key in (old, new):
        assert store.authorize(f"Bearer {key}", "leads:read", end - timedelta(seconds=1)).name == "a"
    assert refused(store, f"Bearer {old}", now=end) == (401, "unauthorized")
    assert store.authorize(f"Bearer {new}", "leads:read", end).name == "a"
    with pytest.raises(KizashiError, match="two keys named a"):
        rotate_key(path, "a", end, NOW)
    assert rotate_key(path, "a", end + timedelta(days=7), end) != new
    assert len(list_keys(path)) == 2


def test_a_rotation_never_lets_a_key_live_longer(path: Path) -> None:
    create_key(path, "a", ["leads:read"], NOW)
    soon = NOW + timedelta(hours=1)
    expire_key(path, "a", soon, NOW)
    rotate_key(path, "a", NOW + timedelta(days=7), NOW)
    assert [key.expires_at for key in list_keys(path)] == [soon, None]
    with pytest.raises(KizashiError, match="no key named"):
        rotate_key(path, "b", soon, NOW)


def test_of_two_keys_of_a_name_an_id_says_which(path: Path) -> None:
    first, second = (create_key(path, "a", ["leads:read"], NOW) for _ in range(2))
    with pytest.raises(KizashiError, match="two keys named a"):
        create_key(path, "a", ["leads:read"], NOW)
    with pytest.raises(KizashiError, match="say"):
        expire_key(path, "a", NOW, NOW)
    expire_key(path, first.split("_")[1], NOW, NOW)
    store = KeyStore(path)
    assert refused(store, f"Bearer {first}") == (401, "unauthorized")
    assert store.authorize(f"Bearer {second}", "leads:read", NOW).name == "a"
    revoke_key(path, "a", NOW)
    assert refused(store, f"Bearer {second}") == (401, "unauthorized")


def test_unfit_names_scopes_and_unknown_keys_are_told(path: Path) -> None:
    for name, scopes in (("", ["admin"]), ("a b", ["admin"]), ("a", []), ("a", ["leads:delete"])):
        with pytest.raises(KizashiError):
            create_key(path, name, scopes, NOW)
    with pytest.raises(KizashiError, match="no key named"):
        revoke_key(path, "nobody", NOW)
    assert list_keys(path) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"keys": [{}]}', '{"keys": 3}'])
def test_a_broken_file_lets_nobody_in(path: Path, content: str) -> None:
    key = create_key(path, "a", ["leads:read"], NOW)
    path.write_text(content)
    assert refused(KeyStore(path), f"Bearer {key}") == (503, "keys_unreadable")


def test_a_lost_file_lets_nobody_in(path: Path) -> None:
    key = create_key(path, "a", ["leads:read"], NOW)
    path.unlink()
    assert refused(KeyStore(path), f"Bearer {key}") == (401, "unauthorized")


def test_writers_at_the_same_time_lose_nothing(path: Path) -> None:
    names = [f"key-{number}" for number in range(12)]
    threads = [threading.Thread(target=create_key, args=(path, name, ["leads:read"], NOW)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(key.name for key in list_keys(path)) == sorted(names)
    assert [entry.name for entry in path.parent.iterdir() if entry.name.endswith(".new")] == []
