"""Settings of the ingest service: `KIZASHI_INGEST__*`."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shared.settings import Section, Settings

_MIB = 1_048_576
Positive = Annotated[int, Field(ge=1)]


class IngestLimits(Section):
    """What a request may hold and how long Kafka may take. Sizes in bytes, times in seconds."""

    max_activity_bytes: Annotated[int, Field(ge=1_024, le=_MIB // 2)] = 65_536
    """One activity, as compact JSON; beyond it 413, as for the five that follow."""
    max_body_bytes: Positive = _MIB
    """The body of one activity, a form, or a call of the page tag or of Segment's protocol."""
    max_batch_bytes: Positive = 8 * _MIB
    """The body of an array, a batch or a webhook."""
    max_items: Positive = 1_000
    """Activities of one request."""
    max_import_bytes: Positive = 64 * _MIB
    """A file of business cards; it is read to disk, not into memory."""
    max_import_records: Positive = 200_000
    """Records of such a file."""
    max_imports: Positive = 2
    """Imports under way at once, per process; beyond it they are refused with 503."""
    helpers: Annotated[int, Field(ge=0, le=64)] = 1
    """Processes beside the service that read bodies of 16 KiB and more, started with the first of them; 0: it reads
    them itself, in threads."""
    max_pending_bytes: Positive = 64 * _MIB
    """Bytes that may wait for Kafka's acknowledgement at once; beyond it requests are refused with 503."""
    record_batch_bytes: Annotated[int, Field(ge=16_384, le=_MIB // 2)] = 262_144
    """One batch to one partition; well below the broker's default limit of 1 MiB."""
    compression: Literal["none", "lz4"] = "none"
    """Of what is sent to Kafka."""
    spool_max_bytes: Positive = 1024 * _MIB
    """Room on disk, per process, for what comes while Kafka is away; beyond it requests are refused with 503."""
    spool_dir: Path | None = None
    """Where that is kept; `spool` in the data folder if not said. Must outlive the process."""
    ack_timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    """How long Kafka may take to acknowledge; then the request is kept on disk."""
    retry_after_s: Positive = 2
    """What a 503 says in Retry-After."""
    fetch_give_up_s: Annotated[float, Field(gt=0, le=86_400)] = 600.0
    """How long a tool's API that does not answer is asked again about one activity."""
    link_key_version: Annotated[int, Field(ge=1, le=255)] = 1
    """The version of the key that tracked links are made with; a higher one makes new links unlike all before."""
    link_key_oldest: Annotated[int, Field(ge=1, le=255)] = 1
    """Links of keys below this version are no longer followed."""

    @model_validator(mode="after")
    def _new_links_are_followed(self) -> Self:
        if self.link_key_oldest > self.link_key_version:
            raise ValueError("link_key_oldest is above link_key_version: no link made now would be followed")
        return self


class IngestSettings(Settings):
    """All settings of the ingest service."""

    ingest: IngestLimits = IngestLimits()

    @property
    def spool_path(self) -> Path:
        """The folder that all ingest processes of this machine share for their spools."""
        return self.ingest.spool_dir or self.data_dir / "spool"
