"""Makes `.venv` from the hashed lock files, then lets it provision the rest. Runs on a bare Python.

`bootstrap.py [--check] run|dev`: `run` is what the stack needs, `dev` also what the tests and checks need. With
`--check` nothing is done; exit code 0 says that nothing would have to be.
"""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
CACHE = ROOT / ".cache"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
STAMP = VENV / "kizashi-setup.json"
UV_LOCK = ROOT / "uv.lock.txt"
LOCKS = {"run": ROOT / "requirements.lock", "dev": ROOT / "requirements-dev.lock"}
DEV_TOOL = VENV / "bin" / "pytest"


class SetupFailed(Exception):
    """Tells the user what is missing."""


def main(arguments: list[str]) -> int:
    """The command. Returns the exit code."""
    level = arguments[-1] if arguments and arguments[-1] in LOCKS else "run"
    if "--check" in arguments:
        return 0 if is_current(level) and _provision("--check") == 0 else 1
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "setup.lock").open("w") as lock:
        # Two at a time would undo each other's work.
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            if not is_current(level):
                _make(level)
        except SetupFailed as error:
            print(f"kizashi: {error}", file=sys.stderr)
            return 1
    return _provision()


def is_current(level: str) -> bool:
    """Whether the environment was made from these lock files, for `level` or more."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
        return stamp["level"] in {level, "dev"} and stamp["inputs"] == inputs(stamp["level"]) and PYTHON.exists()
    except (OSError, ValueError, KeyError, TypeError):
        return False


def inputs(level: str) -> str:
    """A digest of all that the environment is made from."""
    digest = hashlib.sha256(str(ROOT).encode())
    for path in (UV_LOCK, LOCKS[level], ROOT / "pyproject.toml", Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _make(level: str) -> None:
    # An environment with the test tools keeps them: `make up` after `make test` must not take them away.
    level = "dev" if DEV_TOOL.exists() else level
    STAMP.unlink(missing_ok=True)
    _step("Python environment", _make_venv)
    _step("Python packages", lambda: _install(LOCKS[level]))
    _step("kizashi command", _install_project)
    draft = STAMP.with_suffix(".new")
    draft.write_text(json.dumps({"level": level, "inputs": inputs(level)}), encoding="utf-8")
    draft.replace(STAMP)


def _make_venv() -> None:
    if _runs([str(PYTHON), "-c", "import sys, pip; sys.exit(sys.version_info < (3, 11))"]):
        return
    try:
        import ensurepip  # noqa: F401, PLC0415 - Debian has it in a package of its own
        import venv  # noqa: PLC0415
    except ImportError:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise SetupFailed(
            f"this Python ({sys.executable}) cannot make virtual environments; on Debian and Ubuntu: "
            f"apt install python{version}-venv"
        ) from None
    try:
        venv.EnvBuilder(clear=True, symlinks=True, with_pip=True).create(VENV)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetupFailed(f"cannot make {VENV}: {error}") from None


def _install(lock: Path) -> None:
    if not _runs([str(UV), "--version"]):
        _runs([*_pip(), "install", "-q", "--require-hashes", "-r", str(UV_LOCK)])
    # uv does not read pip's configuration; where that names another index, pip is the one who can reach it.
    if UV.exists() and not _has_own_index() and _uv("pip", "sync", "--require-hashes", str(lock)):
        return
    done = subprocess.run([*_pip(), "install", "-q", "--require-hashes", "-r", str(lock)], check=False)
    if done.returncode != 0:
        raise SetupFailed("the Python packages could not be installed (see above); is the package index reachable?")


def _install_project() -> None:
    # Offline: uv carries the build backend itself.
    if UV.exists() and _uv("pip", "install", "--offline", "--no-deps", "-e", str(ROOT)):
        return
    done = subprocess.run([*_pip(), "install", "-q", "--no-deps", "-e", str(ROOT)], check=False)
    if done.returncode != 0:
        raise SetupFailed("the project itself could not be installed (see above)")


def _uv(*arguments: str) -> bool:
    """Run uv on the environment; its own progress shows on a terminal."""
    quiet = [] if sys.stderr.isatty() else ["-q"]
    command = [str(UV), *arguments, *quiet, "--python", str(PYTHON)]
    env = {**os.environ, "UV_CACHE_DIR": str(CACHE / "uv"), "UV_PYTHON_DOWNLOADS": "never"}
    if "PIP_CERT" in env:
        env.setdefault("SSL_CERT_FILE", env["PIP_CERT"])
    return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode == 0


def _has_own_index() -> bool:
    configured = _runs([*_pip(), "config", "get", "global.index-url"])
    return configured or any(name in os.environ for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"))


def _pip() -> list[str]:
    return [str(PYTHON), "-m", "pip", "--disable-pip-version-check"]


def _runs(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _provision(*arguments: str) -> int:
    command = [str(PYTHON), "-m", "deploy.local.provision", *arguments]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONSAFEPATH": "1"}, check=False).returncode


def _step(name: str, action: Callable[[], None]) -> None:
    began = time.monotonic()
    action()
    print(f"{name}: ready, {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
