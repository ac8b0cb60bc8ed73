"""Settings of the handoff service: section `KIZASHI_HANDOFF__…` beside the common ones."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from shared.settings import Port, Section, Settings


class HandoffSection(Section):
    """Limits of the consumers. `instance` names a consumer that keeps its partitions over a quick restart; a lead whose
    state was older than `first_start_grace_s` when handoff was started for the very first time was there before and
    raises nothing.

    `timers_every_s` is how often due deadlines, expiries and runs are looked for. A run begins `run_after_s` after its
    time, so that what crossed just before is in it; one later than `run_missed_after_s` is a missed one.

    One attempt at a delivery may take `delivery_timeout_s`; a process sends a destination at most
    `delivery_concurrency` at a time; deliveries are kept for `deliveries_kept_d` days; the folders of destinations lie
    in `exports_dir` (default: in the data folder).
    """

    group: str = "handoff"
    instance: str | None = None
    max_records: Annotated[int, Field(ge=1, le=20_000)] = 1_000
    first_start_grace_s: Annotated[float, Field(ge=0, le=86_400)] = 600.0
    timers_every_s: Annotated[float, Field(gt=0, le=3_600)] = 1.0
    run_after_s: Annotated[float, Field(ge=0, le=3_600)] = 2.0
    run_missed_after_s: Annotated[float, Field(gt=0, le=86_400)] = 300.0
    delivery_timeout_s: Annotated[float, Field(gt=0, le=60)] = 15.0
    delivery_concurrency: Annotated[int, Field(ge=1, le=100)] = 16
    deliveries_kept_d: Annotated[int, Field(ge=1, le=3_650)] = 90
    exports_dir: Path | None = None


class SmtpSection(Section):
    """The mail server of mail destinations, `KIZASHI_SMTP__…`; without `host` and `sender` they fail and say so."""

    host: str | None = None
    port: Port = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: SecretStr | None = None
    sender: Annotated[str | None, Field(pattern=r"^[^\s@<>]{1,64}@[A-Za-z0-9.-]{1,255}$")] = None
    sender_name: Annotated[str, Field(max_length=100, pattern=r"^[^\r\n]*$")] = "Kizashi"


class HandoffSettings(Settings):
    """Everything the handoff service reads from the environment."""

    handoff: HandoffSection = HandoffSection()
    smtp: SmtpSection = SmtpSection()

    @property
    def exports_path(self) -> Path:
        """Where the folders of destinations lie."""
        return self.handoff.exports_dir or self.data_dir / "exports"
