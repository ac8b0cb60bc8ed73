"""Settings of the handoff service: section `KIZASHI_HANDOFF__…` beside the common ones."""

from typing import Annotated

from pydantic import Field

from shared.settings import Section, Settings


class HandoffSection(Section):
    """Limits of the consumers. `instance` names a consumer that keeps its partitions over a quick restart; a lead whose
    state was older than `first_start_grace_s` when handoff was started for the very first time was there before and
    raises nothing.

    `timers_every_s` is how often due deadlines, expiries and runs are looked for. A run begins `run_after_s` after its
    time, so that what crossed just before is in it; one later than `run_missed_after_s` is a missed one.
    """

    group: str = "handoff"
    instance: str | None = None
    max_records: Annotated[int, Field(ge=1, le=20_000)] = 3_000
    first_start_grace_s: Annotated[float, Field(ge=0, le=86_400)] = 600.0
    timers_every_s: Annotated[float, Field(gt=0, le=3_600)] = 1.0
    run_after_s: Annotated[float, Field(ge=0, le=3_600)] = 2.0
    run_missed_after_s: Annotated[float, Field(gt=0, le=86_400)] = 300.0


class HandoffSettings(Settings):
    """Everything the handoff service reads from the environment."""

    handoff: HandoffSection = HandoffSection()
