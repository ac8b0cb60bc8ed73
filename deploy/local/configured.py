"""Whether the settings and the configuration files would let the services start."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from services.handoff.config import FILE, read_handoff_file
from services.handoff.settings import HandoffSettings
from services.ingest.settings import IngestSettings
from services.ingest.sources.file import load_sources
from services.scoring.models import read_models
from services.scoring.settings import ScoringSettings
from shared.errors import KizashiError
from shared.settings import load

SETTINGS = (IngestSettings, ScoringSettings, HandoffSettings)


def faults(config_dir: Path, env: Mapping[str, str]) -> Iterator[str]:
    """What each part says against its start; nothing where all is well."""
    reads: tuple[Callable[[], Any], ...] = (
        *(partial(load, kind, env) for kind in SETTINGS),
        partial(load_sources, config_dir, env),
        partial(read_models, config_dir),
        partial(read_handoff_file, config_dir / FILE),
    )
    said = set()
    for read in reads:
        try:
            read()
        except KizashiError as error:
            if str(error) not in said:
                yield str(error)
            said.add(str(error))
