"""Segment: the webhook destination, tracking calls alone or in batches.

Source: segment-docs, and source and tests of the webhook destination. Of a batch only the first element is signed.
"""

import json
from collections.abc import Sequence
from datetime import datetime

from services.ingest.sources.base import Adapter, Delivery, Options, ParsedItem, Verdict, equal
from services.ingest.sources.bodies import json_items
from services.ingest.sources.drafts import each
from services.ingest.sources.recipes import Recipe
from services.ingest.sources.signatures import NO_MATCH, guarded, missing, shared_secret, sign, signed_or_shared
from services.ingest.sources.tracking import tracking_item, unbatched

NAME = "segment"
SIGNATURE = "X-Signature"
_RECIPE = Recipe(header=SIGNATURE, algorithm="sha1")
_DECODER = json.JSONDecoder()


def _verify(delivery: Delivery, secrets: Sequence[str], now: datetime, options: Options) -> Verdict:
    found = (delivery.headers.one(SIGNATURE) or "").lower()
    if not found:
        return missing(SIGNATURE)
    if _any(found, secrets, delivery.body):
        return Verdict(True, "signature matches")
    first = first_element(delivery.body)
    if first is None or not _any(found, secrets, first):
        return NO_MATCH
    if shared_secret(delivery, secrets, now, options).valid:
        return Verdict(True, "signature matches (first element of the batch), and so does a secret header")
    return Verdict(True, "signature matches, but covers the first element of the batch alone", covers=1)


def _any(found: str, secrets: Sequence[str], signed: bytes) -> bool:
    return any(equal(found, sign(_RECIPE, secret, signed)) for secret in secrets)


def first_element(body: bytes) -> bytes | None:
    """The bytes of the first element of a JSON array as they stand there, None if there is none."""
    try:
        text = body.decode("utf-8")
        start = text.index("[") + 1
        start += len(text[start:]) - len(text[start:].lstrip(" \t\r\n"))
        if text[: text.index("[")].strip(" \t\r\n"):
            return None
        _, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return text[start:end].encode()


verify = signed_or_shared(guarded(_verify), SIGNATURE)


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """Tracking calls, alone, in an array or as a batch."""
    calls = [call for item in json_items(delivery) for call in unbatched(item)]
    return each(calls, lambda item: tracking_item(options, item))


ADAPTER = Adapter(name=NAME, verify=verify, parse=parse, best_effort=True, secret_in_path=True)
