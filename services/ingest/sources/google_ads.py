"""Google Ads lead forms: one lead a request, with the key that was typed into the form's settings in the body.

Source: Google's webhook implementation guide. How Google treats answers other than 200 is not documented.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.ingest.sources.base import (
    Adapter,
    Delivery,
    Headers,
    Ignored,
    Options,
    ParsedItem,
    Reply,
    Unreadable,
    Verdict,
    equal,
)
from services.ingest.sources.bodies import json_body, json_items
from services.ingest.sources.drafts import an_object, each, lead, posted
from services.ingest.sources.people import attributes, person
from services.ingest.sources.signatures import guarded
from services.ingest.sources.values import from_date, given_id, listing, mapping, text, truth, unnamed
from shared.codec import encode

NAME = "google-ads"
KEY = "google_key"
TYPES = {"lead": "ad_lead_submitted"}
_ABOUT = ("campaign_id", "adgroup_id", "creative_id", "asset_group_id", "gcl_id", "lead_stage")


def _verify(delivery: Delivery, secrets: Sequence[str], now: datetime, options: Options) -> Verdict:  # noqa: ARG001 - untimed
    try:
        items = json_items(delivery)
    except Unreadable as error:
        return Verdict(False, f"secret: the body with {KEY} cannot be read ({error})")
    keys = [mapping(item).get(KEY) for item in items]
    if not keys or not all(isinstance(key, str) and key for key in keys):
        return Verdict(False, f"secret: no {KEY} in the body")
    if all([any([equal(str(key), secret) for secret in secrets]) for key in keys]):  # noqa: C419 - no early end
        return Verdict(True, f"secret matches ({KEY})")
    return Verdict(False, f"secret: {KEY} is none of the secrets")


verify = guarded(_verify)


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """One lead. The key is dropped before anything is kept."""
    return each(json_items(delivery), lambda item: _item(an_object(item), options))


def _item(item: dict[str, Any], options: Options) -> ParsedItem:
    if truth(item.get("is_test")):
        return Ignored("test delivery (is_test)")
    columns: dict[str, Any] = {}
    for column in map(mapping, listing(item.get("user_column_data"))):
        name = text(column.get("column_id")) or text(column.get("column_name"))
        if name:
            columns.setdefault(name, column.get("string_value"))
    # A private address before a work address would hide the company; Google sends both where a form asks for both.
    known = person(dict(sorted(columns.items(), key=lambda pair: not pair[0].startswith("WORK_"))), options.region)
    public = {name: value for name, value in item.items() if name != KEY}
    named = (item.get("gcl_id"), item.get("lead_submit_time"))
    return posted(
        options,
        public,
        id_=given_id(options.source, item.get("lead_id"), *named, unnamed(public, *named)),
        kind="lead",
        type_=options.types.get("lead") or TYPES["lead"],
        at=from_date(item.get("lead_submit_time"), options.zone),
        lead=lead(options, email=known.get("email"), phone=known.get("phone"), external=item.get("lead_id")),
        attributes=attributes(known),
        properties={
            "form": text(item.get("form_id")),
            **{name: text(item.get(name)) for name in _ABOUT},
            "answers": {name: text(value) for name, value in columns.items() if name not in _KNOWN},
        },
    )


_KNOWN = frozenset({"FULL_NAME", "FIRST_NAME", "LAST_NAME", "EMAIL", "WORK_EMAIL", "PHONE_NUMBER", "WORK_PHONE"})


def redact(body: bytes) -> bytes:
    """The body without the key; a body that cannot be read is not kept at all."""
    try:
        value = json_body(Delivery("POST", "", Headers(()), body))
    except Unreadable:
        return b""
    items = value if isinstance(value, list) else [value]
    clean = [{k: v for k, v in item.items() if k != KEY} if isinstance(item, dict) else item for item in items]
    return encode(clean if isinstance(value, list) else clean[0])


ADAPTER = Adapter(
    name=NAME, verify=verify, parse=parse, redact=redact, answer=Reply(200, b"{}", "application/json"), best_effort=True
)
