"""Meta Lead Ads (Facebook, Instagram): ids of submitted lead forms, signed with the app's secret.

Source: Meta's lead-ads webhook guides; the signature's vectors are those of the same scheme at GitHub. A delivery holds
ids only: without the answers the lead is known by its `leadgen_id`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.ingest.sources.base import Adapter, Delivery, Options, ParsedItem, Reply, Unreadable, equal
from services.ingest.sources.bodies import json_items
from services.ingest.sources.drafts import an_object, each, lead, posted
from services.ingest.sources.people import attributes, our_name, person
from services.ingest.sources.recipes import Recipe
from services.ingest.sources.signatures import by_recipe
from services.ingest.sources.values import canonical, derived_id, from_any, given_id, listing, mapping, text

NAME = "meta"
TYPES = {"leadgen": "ad_lead_submitted"}
_ABOUT = ("page_id", "adgroup_id", "ad_id", "campaign_id")

verify = by_recipe(Recipe(header="X-Hub-Signature-256", form="sha256={signature}"))


def handshake(delivery: Delivery, secrets: Sequence[str], now: datetime, options: Options) -> Reply | None:  # noqa: ARG001 - the shape of a handshake
    """The check of an address: whoever knows the verify token (else one of the secrets) gets the challenge back."""
    if delivery.method != "GET":
        return None
    challenge, token = delivery.query_field("hub.challenge"), delivery.query_field("hub.verify_token")
    known = [options.verify_token] if options.verify_token else [secret for secret in secrets if secret]
    agreed = token is not None and any(equal(token, secret) for secret in known)
    if delivery.query_field("hub.mode") != "subscribe" or challenge is None or not agreed:
        return Reply(403, b"verify token does not match")
    return Reply(200, challenge[:1_024].encode("utf-8", "replace"))


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """Every change of every entry; a change that is no lead form names nobody and is reported."""
    changes = [change for body in json_items(delivery) for change in _changes(body)]
    if not changes:
        raise Unreadable("the body names no change")
    return each(changes, lambda pair: _item(pair[0], an_object(pair[1]), options))


def _changes(body: Any) -> list[tuple[Mapping[str, Any], Any]]:
    if not isinstance(body, dict):
        return [({}, body)]
    entries = map(mapping, listing(body.get("entry")))
    return [(entry, change) for entry in entries for change in listing(entry.get("changes"))]


def _item(entry: Any, change: dict[str, Any], options: Options) -> ParsedItem:
    value, kind = mapping(change.get("value")), text(change.get("field"))
    answers = answers_of(value)
    known = person(answers, options.region)
    return posted(
        options,
        {"page": entry.get("id"), **change},
        id_=given_id(options.source, value.get("leadgen_id"), derived_id(options.source, kind, canonical(change))),
        kind=kind,
        type_=options.types.get(kind or "") or TYPES.get(kind or "", "unknown"),
        at=from_any(value.get("created_time") or entry.get("time"), options.zone),
        lead=lead(options, email=known.get("email"), phone=known.get("phone"), external=value.get("leadgen_id")),
        attributes=attributes(known),
        properties={
            "form": text(value.get("form_id")),
            **{name: text(value.get(name)) for name in _ABOUT},
            "answers": {name: said for name, said in answers.items() if not our_name(name)},
        },
    )


def answers_of(value: Mapping[str, Any]) -> dict[str, Any]:
    """What was answered, by the names of the form's fields."""
    return {text(field.get("name")) or "": _first(field) for field in map(mapping, listing(value.get("field_data")))}


def _first(field: Any) -> Any:
    values = listing(field.get("values"))
    return values[0] if values else None


ADAPTER = Adapter(name=NAME, verify=verify, parse=parse, handshake=handshake, answer=Reply(200, b"OK"))
