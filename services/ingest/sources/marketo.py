"""Adobe Marketo Engage: the flow step "Call Webhook", whose body is a template of the administrator's.

Source: Experience League, "Webhooks" and "Filtering email bot activity".
"""

from services.ingest.sources.base import Adapter, Delivery, Options, ParsedItem, Posted
from services.ingest.sources.drafts import each
from services.ingest.sources.flat import flat_item, records
from services.ingest.sources.people import folded
from services.ingest.sources.signatures import shared_secret
from services.ingest.sources.templates import MARKETING_WORDS
from services.ingest.sources.values import truth

NAME = "marketo"
TYPES = MARKETING_WORDS
_NAMED = ("lead_id", "activity", "detail", "at", "campaign")


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """One record of named fields, as JSON or form; times without offset are in the subscription's zone."""
    return each(
        records(delivery), lambda record: _flagged(record, flat_item(options, record, types=TYPES, named=_NAMED))
    )


def _flagged(record: object, item: ParsedItem) -> ParsedItem:
    """Carry over Marketo's own judgement, the activity attribute "Bot Activity"."""
    if isinstance(item, Posted) and isinstance(record, dict):
        fields = {folded(str(name)): value for name, value in record.items()}
        if truth(fields.get("bot_activity")):
            item.activity["properties"] = {**item.activity.get("properties", {}), "bot_signals": ["bot_activity"]}
    return item


ADAPTER = Adapter(name=NAME, verify=shared_secret, parse=parse, best_effort=True)
