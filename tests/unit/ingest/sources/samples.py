"""Sample deliveries of every tool, with the activities they must become."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from services.ingest.sources.base import Options
from services.ingest.sources.registry import SOURCES
from tests.unit.ingest.sources.signing import SENDGRID_KEY, SENDGRID_OTHER_KEY

FOLDER = Path(__file__).parents[3] / "fixtures" / "webhooks"
_SECRETS = {
    "standard-webhooks": ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
    "sendgrid": (SENDGRID_KEY, SENDGRID_OTHER_KEY),
}


@dataclass(frozen=True)
class Sample:
    """One tool's sample file."""

    adapter: str
    told: dict[str, Any]

    @property
    def secret(self) -> str:
        return _SECRETS.get(self.adapter, ("right-secret-0123456789", ""))[0]

    @property
    def other_secret(self) -> str:
        return _SECRETS.get(self.adapter, ("", "other-secret-9876543210"))[1]

    @property
    def options(self) -> Options:
        return Options(self.adapter, self.adapter, zone=ZoneInfo(self.told.get("timezone", "UTC")))

    @property
    def content_type(self) -> str:
        return str(self.told["content_type"])

    def content_type_of(self, name: str) -> str:
        return str(self.told.get(f"{name}_content_type", self.content_type))

    def bytes_of(self, name: str, secret: str | None = None) -> bytes:
        """The body `name` as sent; Google's key stands in the body itself."""
        told = self.told[name]
        text = told if isinstance(told, str) else json.dumps(told, ensure_ascii=False)
        text = text.replace("<secret>", secret or self.secret)
        field = self.told.get("form_field")
        return urlencode({field: text}).encode() if field else text.encode()


def _load(adapter: str) -> Sample:
    return Sample(adapter, json.loads((FOLDER / "samples" / f"{adapter}.json").read_text(encoding="utf-8")))


SAMPLES = [_load(adapter) for adapter in SOURCES]


def with_part(name: str) -> list[Sample]:
    """The samples that have a body of that name."""
    return [sample for sample in SAMPLES if name in sample.told]
