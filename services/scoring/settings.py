"""Settings of the scoring service: section `KIZASHI_SCORING__…` beside the common ones."""

from typing import Annotated

from pydantic import Field

from shared.settings import Section, Settings


class ScoringSection(Section):
    """Limits of the consumer, which holds two batches of at most `max_records`. `instance` names a consumer that keeps
    its partitions over a quick restart.
    """

    group: str = "scoring"
    instance: str | None = None
    max_records: Annotated[int, Field(ge=1, le=20_000)] = 2_000


class ScoringSettings(Settings):
    """Everything the scoring service reads from the environment."""

    scoring: ScoringSection = ScoringSection()
