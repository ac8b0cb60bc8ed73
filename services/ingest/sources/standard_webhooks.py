"""Standard Webhooks 1.0: any sender that follows the specification.

Source: the specification of standard-webhooks and the tests of its libraries; v1a from Svix's server and README.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.ingest.sources.base import Adapter, Delivery, Options, ParsedItem, Unreadable, Verdict, equal, to_bytes
from services.ingest.sources.bodies import json_items
from services.ingest.sources.drafts import each
from services.ingest.sources.flat import flat_item, is_posted, posted_item, told_item
from services.ingest.sources.recipes import Recipe
from services.ingest.sources.signatures import NO_MATCH, NO_TIME, aged, base64_key, guarded, missing, seconds, sign
from services.ingest.sources.values import derived_id, from_any, text

NAME = "standard-webhooks"
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
_V1 = Recipe(header=SIGNATURE, encoding="base64", key="base64")
_TOLERANCE_S = 300.0


def _verify(delivery: Delivery, secrets: Sequence[str], now: datetime, options: Options) -> Verdict:
    known = {name: delivery.headers.one(name) for name in (ID, TIMESTAMP)}
    listed = [item for value in delivery.headers.all(SIGNATURE) for item in value.split(" ") if item]
    for name, value in ((ID, known[ID]), (TIMESTAMP, known[TIMESTAMP]), (SIGNATURE, listed)):
        if not value:
            return missing(name)
    stamp = known[TIMESTAMP] or ""
    if seconds(stamp, "s") is None:
        return NO_TIME
    signed = to_bytes(f"{known[ID]}.{stamp}.") + delivery.body
    signatures = [item.partition(",")[::2] for item in listed]
    if not any(_matches(secret, signed, signatures) for secret in secrets):
        return NO_MATCH
    return aged(stamp, "s", _TOLERANCE_S, now, options)


def _matches(secret: str, signed: bytes, signatures: list[tuple[str, str]]) -> bool:
    """Whether one of the listed signatures was made with this secret; unknown versions are passed over."""
    if secret.startswith(("whpk_", "whsk_")):
        return any(_ed25519(secret, signed, value) for version, value in signatures if version == "v1a")
    expected = sign(_V1, secret.removeprefix("whsec_"), signed)
    return bool(expected) and any(equal(value, expected) for version, value in signatures if version == "v1")


def _ed25519(secret: str, signed: bytes, signature: str) -> bool:
    key = base64_key(secret[len("whpk_") :]) or b""
    public = key[32:] if secret.startswith("whsk_") else key
    try:
        found = base64.b64decode(signature, validate=True)
    except (ValueError, binascii.Error):
        return False
    from services.ingest.sources import public_keys  # noqa: PLC0415 - see there

    return public_keys.signed_by_ed25519(public, found, signed)


verify = guarded(_verify)


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """`{"type", "timestamp", "data"}`, whose data is our own shape or a flat record. The id is the message's.

    What a record calls `type`, `activity` or `at` is its own affair: the envelope says what happened, and when.
    """
    message_id = delivery.headers.first(ID)
    items = json_items(delivery)
    many = len(items) > 1

    def one(numbered: tuple[int, Any]) -> ParsedItem:
        place, item = numbered
        id_ = f"{message_id}:{place}" if message_id and many else message_id
        return _item(item, id_ if id_ is None or len(id_) <= 256 else derived_id(options.source, id_), options)

    return each(enumerate(items), one)


def _item(item: Any, id_: str | None, options: Options) -> ParsedItem:
    if not isinstance(item, dict):
        raise Unreadable("the item is not an object")
    data = item.get("data")
    if not isinstance(data, dict):
        return posted_item(options, item, id_) if is_posted(item) else flat_item(options, item, types={}, id_=id_)
    at = from_any(item.get("timestamp"), options.zone)
    return told_item(options, data, id_=id_, kind=text(item.get("type")), at=at)


ADAPTER = Adapter(name=NAME, verify=verify, parse=parse)
