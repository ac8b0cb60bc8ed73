"""Putting together an activity as it would be posted, the same way for every tool."""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import orjson

from services.ingest.sources.base import Ignored, NotUnderstood, Options, ParsedItem, Posted, Unreadable
from services.ingest.sources.people import as_phone, folded
from services.ingest.sources.values import seconds_between, text
from shared.activity import KNOWN_TYPES
from shared.identity import normalise_email

UNKNOWN, IGNORE = "unknown", "ignore"
MAX_RAW = 16_384
"""Bytes of an activity up to which the raw item stays on it; a quarter of what an activity may hold."""
MAX_ITEMS = 60_000
"""Items in one request: as many as fit into 8 MiB at the size of the shortest real ones."""
MAX_DEPTH = 28
"""Levels of an activity up to which the raw item stays on it; readers of the topic accept 32."""

_NUMBERS = (int, float)
# ip, ipAddress, client_ip, context.ip, contact[ip], ip_signup; not zip.
_ADDRESS_NAME = re.compile(
    r"(?:.*[.\[])?(?:(?:client|remote|user|signup|opt|last|origin)_?)?ip(?:v[46]|_?addr(?:ess)?|_opt|_signup)?\]?",
    re.IGNORECASE,
)
_ADDRESS = re.compile(rb'ip(?:v[46]|_?addr(?:ess)?|_opt|_signup)?\]?":', re.IGNORECASE)
_SOFT = re.compile(r"(?:^|_)soft(?:_?bounce[ds]?)?(?:_|$)")
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
    if attributes and (known := present(attributes)):
        activity["attributes"] = known
    activity["properties"] = about = present(properties or {})
    if kind:
        about["kind"] = kind
    about["raw"] = item
    if consent:
        activity["consent"] = consent
    return Posted(activity)


def bounded(activity: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The activity with its JSON: the raw item without network addresses, and not at all where it makes the activity
    too long or too deep to be kept.

    Raises TypeError for what cannot be JSON in UTF-8.
    """
    written = orjson.dumps(activity)
    if _ADDRESS.search(written):
        activity = _with_raw(activity, without_addresses)
        written = orjson.dumps(activity)
    size = len(written)
    if size <= MAX_RAW:
        # Brackets are counted by deleting them, in half of the time that counting takes.
        nested = 2 * size - len(written.replace(b"{", b"")) - len(written.replace(b"[", b""))
        if nested <= MAX_DEPTH or not _deeper(activity, MAX_DEPTH):
            return activity, written
    short = _with_raw(activity, None)
    return (activity, written) if short is activity else (short, orjson.dumps(short))


def _with_raw(activity: dict[str, Any], change: Callable[[Any], Any] | None) -> dict[str, Any]:
    properties = activity.get("properties")
    if not isinstance(properties, dict) or "raw" not in properties:
        return activity
    rest = {name: value for name, value in properties.items() if name != "raw"}
    raw = {"raw_omitted": True} if change is None else {"raw": change(properties["raw"])}
    return {**activity, "properties": {**rest, **raw}}


def without_addresses(value: Any) -> Any:
    """`value` without the network addresses of people that tools add: fields called ip, ip_address, ipAddress, …"""
    if isinstance(value, dict):
        return {name: without_addresses(one) for name, one in value.items() if not _ADDRESS_NAME.fullmatch(str(name))}
    return [without_addresses(one) for one in value] if isinstance(value, list) else value


def _deeper(value: Any, levels: int) -> bool:
    children: Iterable[Any] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(_deeper(child, levels - 1) for child in children)


def present(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without fields that say nothing: null, "", empty lists and objects. 0 and false are values."""
    return {name: value for name, value in fields.items() if value or isinstance(value, _NUMBERS)}


def lead(
    options: Options, *, email: Any = None, phone: Any = None, external: Any = None, anonymous: Any = None
) -> dict[str, Any]:
    """What the tool knows its lead by.

    An address or number that cannot be read is left out where another identifier is at hand: the raw item still has
    it, and the activity is not lost for it.
    """
    named: dict[str, Any] = {}
    if (known := text(external)) is not None:
        named["external_ids"] = {options.system: known}
    if (browser := text(anonymous)) is not None:
        named["anonymous_id"] = browser
    address, number = text(email), text(phone)
    if address is not None and (_is_email(address) or not (named or number)):
        named["email"] = address
    if number is not None and (as_phone(number, options.region) or not named):
        named["phone"] = number
    return named


def _is_email(address: str) -> bool:
    try:
        return len(address) <= 512 and bool(normalise_email(address))
    except ValueError:
        return False


def mail_consent(options: Options, at: str | None, *, granted: bool) -> dict[str, Any]:
    """Mail agreed to or withdrawn, as this source tells it."""
    return present({"email": granted, "at": at, "source": options.source})


def says_soft(*said: Any) -> bool:
    """Whether a tool's words for a bounce call it soft: the address may work later, so no consent ends with it."""
    return any(_SOFT.search(folded(word)) for word in map(text, said) if word)


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
    about: dict[str, Any] = {}
    known, words = text(agent), list(signals)
    if known is not None:
        known = known[:512]
        if _names_fetcher(known):
            words.append("agent")
    if words:
        about["bot_signals"] = words
    if known is not None:
        about["user_agent"] = known
    if address and (network := _network(text(address))) is not None:
        about["ip_network"] = network
    if (seconds := seconds_between(sent, at)) is not None:
        about["seconds_since_sent"] = seconds
    return about


@lru_cache(maxsize=4_096)
def _names_fetcher(agent: str) -> bool:
    return bool(_AGENTS.search(agent))


@lru_cache(maxsize=4_096)
def _network(address: str | None) -> str | None:
    try:
        known = ipaddress.ip_address(address or "")
    except ValueError:
        return None
    return str(ipaddress.ip_network(f"{known}/{24 if known.version == 4 else 48}", strict=False))


def each(items: Iterable[Any], parse_one: Callable[[Any], ParsedItem]) -> list[ParsedItem]:
    """Parse items one by one, so that one bad item costs no other.

    Raises Unreadable for more than MAX_ITEMS, which no tool sends: millions of tiny ones would take minutes.
    """
    results: list[ParsedItem] = []
    found = list(items)
    if len(found) > MAX_ITEMS:
        raise Unreadable(f"the body holds more than {MAX_ITEMS:,} items")
    for position, item in enumerate(found):
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
