"""Settings of the scoring service: section `KIZASHI_SCORING__…` beside the common ones."""

from typing import Annotated

from pydantic import Field

from shared.settings import Section, Settings

LEAST_DAYS = 31
"""No activity is removed before it is so old."""


class ScoringSection(Section):
    """Limits of the consumer, which holds two batches of at most `max_records`. `instance` names a consumer that keeps
    its partitions over a quick restart. `keep_activities_days`: older activities are removed, by whole calendar months;
    None keeps them for ever. No less than Kafka keeps, which may send them again.
    """

    group: str = "scoring"
    instance: str | None = None
    max_records: Annotated[int, Field(ge=1, le=20_000)] = 2_000
    keep_activities_days: Annotated[int, Field(ge=LEAST_DAYS, le=36_500)] | None = None


class ScoringSettings(Settings):
    """Everything the scoring service reads from the environment."""

    scoring: ScoringSection = ScoringSection()
