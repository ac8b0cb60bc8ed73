"""The packages of this checkout are the ones that are imported, whatever else is called `shared`."""

from pathlib import Path

import deploy.local
import services
import shared
from shared import schemas

ROOT = Path(__file__).parents[3]


def test_imports_are_ours() -> None:
    assert [Path(path) for path in shared.__path__] == [ROOT / "shared"]
    assert [Path(path) for path in services.__path__] == [ROOT / "services"]
    assert Path(deploy.local.__file__ or "").parent == ROOT / "deploy" / "local"


def test_the_schemas_come_with_the_package() -> None:
    assert len(schemas.types()) >= 6
