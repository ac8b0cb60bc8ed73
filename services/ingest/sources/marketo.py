"""Adobe Marketo Engage: the flow step "Call Webhook", whose body is a template of the administrator's.

Source: Experience League, "Webhooks" and "Filtering email bot activity".
"""

from services.ingest.sources.base import Adapter, Delivery, Options, ParsedItem
from services.ingest.sources.drafts import each
from services.ingest.sources.flat import flat_item, records
from services.ingest.sources.signatures import shared_secret
from services.ingest.sources.templates import MARKETING_WORDS

NAME = "marketo"
TYPES = MARKETING_WORDS
_NAMED = ("lead_id", "activity", "detail", "at", "campaign")


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """One record of named fields, as JSON or form; times without offset are in the subscription's zone."""
    return each(records(delivery), lambda record: flat_item(options, record, types=TYPES, named=_NAMED))


ADAPTER = Adapter(name=NAME, verify=shared_secret, parse=parse, best_effort=True, secret_in_path=True)
