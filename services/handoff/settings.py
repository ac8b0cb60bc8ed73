"""Settings of the handoff service: section `KIZASHI_HANDOFF__…` beside the common ones."""

from typing import Annotated

from pydantic import Field

from shared.settings import Section, Settings


class HandoffSection(Section):
    """Limits of the consumers. `instance` names a consumer that keeps its partitions over a quick restart."""

    group: str = "handoff"
    instance: str | None = None
    max_records: Annotated[int, Field(ge=1, le=20_000)] = 3_000


class HandoffSettings(Settings):
    """Everything the handoff service reads from the environment."""

    handoff: HandoffSection = HandoffSection()
