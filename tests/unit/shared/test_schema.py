"""The newest migration is found as Alembic finds it, without loading it."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from shared.errors import ConfigError
from shared.schema import newest_migration


@pytest.mark.parametrize("service", ["scoring", "handoff"])
def test_the_newest_migration_is_alembics_head(service: str) -> None:
    folder = Path("services", service, "migrations")
    config = Config()
    config.set_main_option("script_location", str(folder))
    assert newest_migration(folder) == ScriptDirectory.from_config(config).get_current_head()


@pytest.mark.parametrize("count", [0, 2])
def test_there_is_exactly_one(tmp_path: Path, count: int) -> None:
    (tmp_path / "versions").mkdir()
    for number in range(count):
        (tmp_path / "versions" / f"{number}.py").write_text(f'revision = "r{number}"\ndown_revision = None\n')
    with pytest.raises(ConfigError, match="one newest migration"):
        newest_migration(tmp_path)


@pytest.mark.parametrize("service", ["scoring", "handoff"])
def test_a_service_starts_without_alembic(service: str) -> None:
    code = f"import sys, services.{service}.app; print('alembic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
