"""LinkedIn Lead Sync: names of submitted lead forms, signed with the client secret.

Source: Microsoft's page on webhook validation. A delivery holds names only: without the answers the lead is known by
the URN of its response.
"""

import hmac
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.ingest.sources.base import Adapter, Delivery, Options, ParsedItem, Reply, to_bytes
from services.ingest.sources.bodies import json_items
from services.ingest.sources.drafts import an_object, each, lead, mail_consent, our_type, posted
from services.ingest.sources.recipes import Recipe
from services.ingest.sources.signatures import by_recipe
from services.ingest.sources.values import derived_id, from_millis, mapping, text
from shared.codec import encode

NAME = "linkedin"
TYPES = {"CREATED": "ad_lead_submitted", "DELETED": "ad_lead_deleted"}
# The answer to a challenge is an HMAC with the key that also signs deliveries. Were any text answered, a challenge of
# "hmacsha256=" with a body behind it would have us sign a forged delivery.
_CHALLENGE = re.compile(r"[0-9A-Za-z-]{1,128}")

verify = by_recipe(Recipe(header="X-LI-Signature", signed="hmacsha256={body}"))


def handshake(delivery: Delivery, secrets: Sequence[str], now: datetime, options: Options) -> Reply | None:  # noqa: ARG001 - the shape of a handshake
    """The check of an address, at set-up and every two hours: prove that the client secret is known."""
    if delivery.method != "GET":
        return None
    challenge, known = delivery.query_field("challengeCode") or "", [secret for secret in secrets if secret]
    if not _CHALLENGE.fullmatch(challenge) or not known:
        return Reply(400, b"challengeCode is missing or is none")
    proof = hmac.digest(to_bytes(known[0]), challenge.encode(), "sha256").hex()
    return Reply(200, encode({"challengeCode": challenge, "challengeResponse": proof}), "application/json")


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """One lead action, or an array of them."""
    return each(json_items(delivery), lambda item: _item(an_object(item), options))


def _item(item: dict[str, Any], options: Options) -> ParsedItem:
    response, action = text(item.get("leadGenFormResponse")), text(item.get("leadAction"))
    at = from_millis(item.get("occurredAt"))
    owner = mapping(item.get("owner"))
    # A member who takes the lead back has withdrawn from everything it was given for.
    withdrawn = {**mail_consent(options, at, granted=False), "profiling": False} if action == "DELETED" else None
    return posted(
        options,
        item,
        id_=derived_id(options.source, response, action),
        kind=action,
        type_=our_type(action, TYPES, options),
        at=at,
        lead=lead(options, external=response),
        properties={
            "form": text(item.get("leadGenForm")),
            "lead_type": text(item.get("leadType")),
            "owner": text(owner.get("sponsoredAccount")) or text(owner.get("organization")),
            "associated_entity": {name: text(value) for name, value in mapping(item.get("associatedEntity")).items()},
        },
        consent=withdrawn,
    )


ADAPTER = Adapter(name=NAME, verify=verify, parse=parse, handshake=handshake, answer=Reply(200), best_effort=True)
