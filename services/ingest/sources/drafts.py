"""Putting together an activity as it would be posted, the same way for every tool."""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from services.ingest.sources.base import Ignored, NotUnderstood, Options, ParsedItem, Posted, Unreadable
from services.ingest.sources.people import folded
from services.ingest.sources.values import seconds_between, text
from shared.activity import KNOWN_TYPES
from shared.identity import normalise_email, normalise_phone

UNKNOWN, IGNORE = "unknown", "ignore"
MAX_RAW = 16_384
"""Bytes of an item kept beside its activity; with it an activity stays well under what one may hold."""
_MAX_RAW_DEPTH = 24  # with what is put around it an activity stays within the 32 levels that readers accept

# Fetchers and gateways that name themselves. A hint only: the agent alone never decides.
_AGENTS = re.compile(
    r"googleimageproxy|yahoomailproxy|headlesschrome|phantomjs|barracuda|mimecast|proofpoint|safelinks|symantec"
    r"|(?:\b|_)bot\b|bot/|crawler|spider|python-requests|curl/|\bwget\b",
    re.IGNORECASE,
)


def our_type(kind: str | None, table: Mapping[str, str], options: Options) -> str:
    """Our word for a vendor's: the source's own table, then the tool's; what neither knows is `unknown`."""
    if kind is None:
        return options.activity or UNKNOWN
    return options.types.get(kind) or table.get(kind) or UNKNOWN


def our_word(kind: str | None, table: Mapping[str, str], options: Options) -> str:
    """As `our_type`, where the vendor's word may be one of ours in another spelling: `Page Viewed`, `page.viewed`."""
    type_ = our_type(kind, table, options)
    spelt = folded(kind or "")
    return spelt if type_ == UNKNOWN and spelt in KNOWN_TYPES else type_


def posted(
    options: Options,
    item: Any,
    *,
    id_: str,
    kind: str | None,
    type_: str,
    at: str | None,
    lead: dict[str, Any],
    attributes: Mapping[str, Any] | None = None,
    properties: Mapping[str, Any] | None = None,
    consent: dict[str, Any] | None = None,
) -> ParsedItem:
    """One activity as posted, with the vendor's word and the raw item among its properties."""
    if type_ == IGNORE:
        return Ignored(f"kind {kind} is switched off in configuration")
    activity: dict[str, Any] = {"id": id_, "source": options.source, "type": type_, "lead": lead}
    if at is not None:
        activity["occurred_at"] = at
    known = present(attributes or {})
    if known:
        activity["attributes"] = known
    activity["properties"] = {**present(properties or {}), **present({"kind": kind}), **_kept(item)}
    if consent:
        activity["consent"] = consent
    return Posted(activity)


def _kept(item: Any) -> dict[str, Any]:
    try:
        raw = orjson.dumps(item)
    except TypeError:
        return {"raw_omitted": True}
    nested = raw.count(b"{") + raw.count(b"[")
    if len(raw) > MAX_RAW or (nested > _MAX_RAW_DEPTH and _deeper(item, _MAX_RAW_DEPTH)):
        return {"raw_omitted": True}
    return {"raw": item}


def _deeper(value: Any, levels: int) -> bool:
    children: Iterable[Any] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(_deeper(child, levels - 1) for child in children)


def present(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without fields that say nothing: null, "", empty lists and objects. 0 and false are values."""
    return {name: value for name, value in fields.items() if value is not None and value not in ("", [], {})}


def lead(
    options: Options, *, email: Any = None, phone: Any = None, external: Any = None, anonymous: Any = None
) -> dict[str, Any]:
    """What the tool knows its lead by.

    An address or number that cannot be read is left out where another identifier is at hand: the raw item still has
    it, and the activity is not lost for it.
    """
    names = {"external_ids": {options.system: known} if (known := text(external)) else None}
    names["anonymous_id"] = text(anonymous)  # type: ignore[assignment]
    named = present(names)
    address, number = text(email), text(phone)
    if address is not None and (_is_email(address) or not (named or number)):
        named["email"] = address
    if number is not None and (_is_phone(number, options.region) or not named):
        named["phone"] = number
    return named


def _is_email(address: str) -> bool:
    try:
        return len(address) <= 512 and bool(normalise_email(address))
    except ValueError:
        return False


def _is_phone(number: str, region: str) -> bool:
    try:
        return len(number) <= 512 and bool(normalise_phone(number, region))
    except ValueError:
        return False


def mail_consent(options: Options, at: str | None, *, granted: bool) -> dict[str, Any]:
    """Mail agreed to or withdrawn, as this source tells it."""
    return present({"email": granted, "at": at, "source": options.source})


def origin(
    *,
    signals: Iterable[str] = (),
    agent: Any = None,
    address: Any = None,
    sent: str | None = None,
    at: str | None = None,
) -> dict[str, Any]:
    """Where a mail or page hit came from, for the judgement on bots that scoring makes.

    `bot_signals` lists what speaks for a machine: `machine_open`, `proxy_open`, `prefetched`, `synthetic`,
    `machine_click`, `bot_activity`, `filtered` are the tool's own flags; `agent` means that the user agent names a
    known fetcher, which alone decides nothing. `ip_network` is a /24 or /48, `seconds_since_sent` the age of the mail.
    """
    known = text(agent)
    words = [*signals, *(["agent"] if known and _AGENTS.search(known) else [])]
    return present(
        {
            "bot_signals": words,
            "user_agent": known[:512] if known else None,
            "ip_network": _network(address),
            "seconds_since_sent": seconds_between(sent, at),
        }
    )


def _network(address: Any) -> str | None:
    try:
        known = ipaddress.ip_address(text(address) or "")
    except ValueError:
        return None
    return str(ipaddress.ip_network(f"{known}/{24 if known.version == 4 else 48}", strict=False))


def each(items: Iterable[Any], parse_one: Callable[[Any], ParsedItem]) -> list[ParsedItem]:
    """Parse items one by one, so that one bad item costs no other."""
    results: list[ParsedItem] = []
    for position, item in enumerate(items):
        try:
            results.append(parse_one(item))
        except Unreadable as error:
            results.append(NotUnderstood(str(error), position))
    return results


def an_object(item: Any) -> dict[str, Any]:
    """The item, which must be a JSON object. Raises Unreadable."""
    if not isinstance(item, dict):
        raise Unreadable("the item is not an object")
    return item
