"""`make setup` on a small project of the same shape: no package index is needed, everything else is real."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.paths import ROOT

PYPROJECT = """
[project]
name = "sample"
version = "1"
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
# The least that an editable install needs: a wheel with a path file.
BACKEND = """
import zipfile
from pathlib import Path

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "sample-1-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory) / name, "w") as wheel:
        wheel.writestr("sample.pth", str(Path.cwd()))
        wheel.writestr("sample-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: sample\\nVersion: 1\\n")
        wheel.writestr("sample-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("sample-1.dist-info/RECORD", "")
    return name
"""
PROVISION = "import pathlib, sys; pathlib.Path('provisioned').open('a').write(' '.join(sys.argv[1:]) + '.')"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    local = root / "deploy" / "local"
    local.mkdir(parents=True)
    for name in ("bootstrap.py", "setup.sh"):
        shutil.copy(ROOT / "deploy" / "local" / name, local / name)
    (local / "provision.py").write_text(PROVISION)
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "backend.py").write_text(BACKEND)
    for name in ("uv.lock.txt", "requirements.lock", "requirements-dev.lock"):
        (root / name).write_text("# nothing\n")
    return root


def setup(project: Path, level: str = "run", **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "VIRTUAL_ENV"))}
    command = ["/bin/sh", str(project / "deploy" / "local" / "setup.sh"), level]
    env = {**kept, "PYTHON": sys.executable, "PIP_NO_INDEX": "1", **env}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def level_of(project: Path) -> str:
    return str(json.loads((project / ".venv" / "kizashi-setup.json").read_text())["level"])


def test_setup_makes_what_is_missing_and_only_that(project: Path) -> None:
    first = setup(project)
    assert first.returncode == 0, first.stderr
    parts = [line.partition(":")[0] for line in first.stderr.splitlines() if ": ready" in line]
    assert parts == ["Python environment", "Python packages", "kizashi command"]
    assert (project / "provisioned").read_text() == "."

    # Nothing to do: no step is taken, no Python is looked for.
    again = setup(project, PYTHON="/nowhere", PATH="/usr/bin:/bin")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert (project / "provisioned").read_text() == ".--check."

    # Cut short in the middle: no stamp, and an environment without its Python.
    (project / ".venv" / "kizashi-setup.json").unlink()
    (project / ".venv" / "bin" / "python").unlink()
    recovered = setup(project)
    assert recovered.returncode == 0, recovered.stderr
    assert (project / ".venv" / "bin" / "python").exists()
    assert level_of(project) == "run"

    # Other packages are wanted now. Tools of development come on top, and `run` does not take them away.
    (project / "requirements-dev.lock").write_text("# still nothing\n")
    assert "Python packages: ready" in setup(project, "dev").stderr
    assert level_of(project) == "dev"
    assert setup(project).stderr == ""
    assert level_of(project) == "dev"


def test_setup_says_which_python_is_needed(tmp_path: Path) -> None:
    local = tmp_path / "deploy" / "local"
    local.mkdir(parents=True)
    shutil.copy(ROOT / "deploy" / "local" / "setup.sh", local)
    old = tmp_path / "bin" / "python3"
    old.parent.mkdir()
    old.write_text('#!/bin/sh\ncase "$1" in --version) echo Python 3.9.2 ;; *) exit 1 ;; esac\n')
    old.chmod(0o755)
    for name in ("dirname", "cat"):
        (old.parent / name).symlink_to(shutil.which(name) or name)
    done = setup(tmp_path, PYTHON="", PATH=str(old.parent))
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed; found: Python 3.9.2" in done.stderr
    assert "apt install python3 python3-venv" in done.stderr
