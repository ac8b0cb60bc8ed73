"""Salesforce Account Engagement (Pardot): external actions of Engagement Studio, and form handlers pointed at us.

The body is whatever the invocable action builds, best our own activity. Source: the developer guides "External Actions"
and "Form Handler Field"; no payload is published.
"""

from services.ingest.sources.base import Adapter, Delivery, Options, ParsedItem
from services.ingest.sources.drafts import each
from services.ingest.sources.flat import flat_item, records_and_form
from services.ingest.sources.signatures import shared_secret
from services.ingest.sources.templates import MARKETING_WORDS

NAME = "account-engagement"
TYPES = MARKETING_WORDS


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """Our own activities, or records of named fields, as JSON or form; a form without a kind is a form."""
    found, form = records_and_form(delivery)

    def one(record: object) -> ParsedItem:
        if form and isinstance(record, dict) and not {"type", "activity"} & record.keys():
            record = {"activity": "form_submitted", **record}
        return flat_item(options, record, types=TYPES)

    return each(found, one)


ADAPTER = Adapter(name=NAME, verify=shared_secret, parse=parse, best_effort=True, secret_in_path=True)
