"""From a form's fields to an activity as posted."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from services.ingest.agreement import agreed
from services.ingest.site.bodies import CHARSET_FIELD, MAX_FIELDS, Pairs
from services.ingest.site.config import IGNORE, Form
from services.ingest.site.names import same_name, usual_target
from shared.clock import to_rfc3339
from shared.errors import pointer
from shared.identity import normalise_email, normalise_phone

BROWSER, SUBMISSION, STARTED, PAGE, TEST = (
    "kizashi_id",
    "kizashi_submission",
    "kizashi_started",
    "kizashi_page",
    "kizashi_test",
)
"""Hidden fields: the browser's anonymous id, a text made anew for each loaded page, when the page was loaded
(milliseconds since 1970), its address, and the mark of a test that is answered but never kept."""
FILLED_FAST = "filled_fast"
"""The flag of a form that was sent sooner than a person could have filled it in."""

_RESERVED = frozenset({BROWSER, SUBMISSION, STARTED, PAGE, TEST, CHARSET_FIELD})
_MAX_SUBMISSION = 128
_OWN = ""  # the place of what a page sends for our sake
_EAST_ASIAN = re.compile(r"[぀-ヿ㐀-鿿豈-﫿]")


@dataclass(slots=True)
class Submission:
    """One sent form. `activity` is as `POST /v1/activities` would take it; `places` says of each field where it went;
    `notes` are for the web developer who tests the form.
    """

    activity: dict[str, Any]
    flags: tuple[str, ...] = ()
    honeypot: bool = False
    test: bool = False
    places: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class _Draft:
    # Not a dataclass, whose factories take twice the time.
    __slots__ = ("attributes", "consent", "lead", "own", "properties", "said")

    def __init__(self) -> None:
        self.lead: dict[str, Any] = {}
        self.attributes: dict[str, Any] = {}
        self.properties: dict[str, Any] = {}
        self.consent: dict[str, dict[str, bool | None]] = {}  # by purpose and field
        self.said: Pairs = []
        self.own: dict[str, str] = {}


class FormReader:
    """Reads submissions of one form."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._targets = None if form.fields is None else {same_name(name): to for name, to in form.fields.items()}
        self._reserved = _RESERVED | {form.honeypot}
        # A form's fields are called the same every time.
        self._place_of = lru_cache(maxsize=MAX_FIELDS * 4)(self._found)

    def target(self, name: str) -> str:
        """Where a field belongs: as configured; what is not named there stays among the properties."""
        configured = None if self._targets is None else self._targets.get(same_name(name))
        if configured is not None or name == "anonymous_id":
            return configured or "lead.anonymous_id"
        return usual_target(name) if self._targets is None else f"properties.{name.strip()}"

    def _found(self, name: str) -> tuple[str, str, str]:
        if name in self._reserved or not name.strip():
            return _OWN, _OWN, ""
        to = self.target(name)
        part, _, key = to.partition(".")
        return to, part, key.removesuffix("[]")

    def read(self, pairs: Pairs, referer: str, now: datetime) -> Submission:
        """Pure. `referer` is the page by the browser's header, "" if it does not tell."""
        draft = _Draft()
        own = draft.own
        places: dict[str, str] = {}
        for pair in pairs:
            name, value = pair
            to, part, key = self._place_of(name)
            if to == _OWN:
                own[name] = str(value)
                continue
            places[name] = to
            if value != "":
                draft.said.append(pair)
                _place(draft, part, key, name, value)
        submission = Submission(self._activity(draft, referer, now), places=places)
        submission.test = own.get(TEST, "") not in ("", "0")
        submission.honeypot = bool(own.get(self._form.honeypot, "").strip())
        if self._filled_fast(own.get(STARTED, ""), now):
            submission.flags = (FILLED_FAST,)
        if submission.test:
            submission.notes += [*_notes(draft, submission), *self._unmatched(places), *_unclear(draft)]
        return submission

    def _unmatched(self, places: Mapping[str, str]) -> list[str]:
        configured = self._form.fields or {}
        sent = {same_name(name) for name in places}
        known = self._targets or {}
        return [
            *(
                f"the form has no field {name}, which sources.yaml names"
                for name in configured
                if same_name(name) not in sent
            ),
            *(
                f"the field {name} is not named in sources.yaml and kept as {to}"
                for name, to in places.items()
                if known and same_name(name) not in known
            ),
        ]

    def _activity(self, draft: _Draft, referer: str, now: datetime) -> dict[str, Any]:
        form = self._form
        lead = _lead(draft, form.region)
        activity: dict[str, Any] = {
            "id": _id(form.key, draft, lead, now),
            "source": form.key,
            "type": form.activity,
            "lead": lead,
        }
        _whole_name(draft.attributes)
        if draft.attributes:
            activity["attributes"] = draft.attributes
        page = _about_page(draft.own.get(PAGE) or referer)
        activity["properties"] = {**page, **draft.properties, "form": form.key, **form.properties}
        if words := _words(draft.consent):
            activity["consent"] = {**words, "at": to_rfc3339(now), "source": f"form {form.key}"}
            if form.consent_text:
                shown = [form.asked(purpose, name) for purpose in words for name in draft.consent[purpose]]
                activity["consent"]["text"] = " / ".join(dict.fromkeys(shown))
        return activity

    def _filled_fast(self, started: str, now: datetime) -> bool:
        if not started.isascii() or not started.isdecimal() or len(started) > 16:
            return False
        passed_ms = now.timestamp() * 1_000 - int(started)
        # A browser whose clock is ahead says nothing about the person.
        return 0 <= passed_ms < self._form.min_fill_s * 1_000


def _place(draft: _Draft, part: str, key: str, name: str, value: Any) -> None:
    if part == "properties":
        _add(draft.properties, key, value)
    elif part == "attributes":
        said = value.strip() if isinstance(value, str) else value
        if key in draft.attributes and isinstance(draft.attributes[key], str):
            draft.attributes[key] = f"{draft.attributes[key]}, {said}"
        elif said != "":
            draft.attributes.setdefault(key, said)
    elif part == "consent":
        _agree(draft, key, name, value)
    elif part == IGNORE:
        return
    elif key.startswith("external_ids."):
        draft.lead.setdefault("external_ids", {}).setdefault(key.partition(".")[2], str(value).strip())
    else:
        draft.lead.setdefault(key, (name.strip(), str(value).strip()))


def _add(properties: dict[str, Any], key: str, value: Any) -> None:
    """A name that stands several times in a form (checkboxes) makes a list."""
    before = properties.get(key)
    if before is None:
        properties[key] = value
    elif isinstance(before, list):
        before.append(value)
    else:
        properties[key] = [before, value]


def _agree(draft: _Draft, purpose: str, name: str, value: Any) -> None:
    """A box that is not ticked sends nothing, or a hidden no before the yes of the same name. What neither agrees nor
    refuses is kept as a property; a box whose value is its own name agrees.
    """
    word = agreed(str(value))
    if word is None and same_name(str(value)) == same_name(name):
        word = True
    if word is None:
        _add(draft.properties, name.strip(), value)
    fields = draft.consent.setdefault(purpose, {})
    fields[name] = word if not fields.get(name) else True


def _words(consent: Mapping[str, Mapping[str, bool | None]]) -> dict[str, bool]:
    """What was agreed to or refused; where several fields ask for one purpose, each must agree."""
    said = {purpose: set(fields.values()) for purpose, fields in consent.items()}
    return {purpose: False not in words for purpose, words in said.items() if words == {True} or False in words}


def _unclear(draft: _Draft) -> list[str]:
    return [
        f"the field {name} says neither yes nor no, so that no consent is recorded: give it a value such as yes"
        for fields in draft.consent.values()
        for name, word in fields.items()
        if word is None
    ]


def _lead(draft: _Draft, region: str) -> dict[str, Any]:
    """The identifiers. An address or number that cannot be read is kept among the properties where another identifier
    is at hand: the form is not lost for it.
    """
    found = draft.lead
    named: dict[str, Any] = {}
    if "external_ids" in found and (ids := {name: value for name, value in found["external_ids"].items() if value}):
        named["external_ids"] = ids
    browser = found.get("anonymous_id", ("", ""))[1] or draft.own.get(BROWSER, "").strip()
    if browser and len(browser) <= 512:
        named["anonymous_id"] = browser
    unread: list[tuple[str, str, str]] = []
    identified = bool(named)
    for kind in ("email", "phone"):
        name, value = found.get(kind, ("", ""))
        if not value:
            continue
        identifies = names_somebody(value) if kind == "email" else _phone(value, region)
        if identifies is None:
            unread.append((kind, name, value))
        else:
            named[kind] = value
            identified |= identifies
    for kind, name, value in unread:
        if identified:
            _add(draft.properties, name, value)
        else:
            named[kind] = value
    return named


def names_somebody(address: str) -> bool | None:
    """Whether an address names somebody, a department at least; None for one that cannot be read."""
    try:
        return bool(normalise_email(address)) if len(address) <= 512 else None
    except ValueError:
        return None


def _phone(number: str, region: str) -> bool | None:
    """Whether a number is one person's; None for one that cannot be read."""
    try:
        return normalise_phone(number, region).identifies if len(number) <= 512 else None
    except ValueError:
        return None


def _whole_name(attributes: dict[str, Any]) -> None:
    """The name in one, family name first where it is written in Japanese or Chinese."""
    family, given = attributes.get("last_name"), attributes.get("first_name")
    if "name" in attributes or not (isinstance(family, str) and isinstance(given, str)):
        return
    eastern = _EAST_ASIAN.search(family + given)
    attributes["name"] = f"{family} {given}" if eastern else f"{given} {family}"


def _about_page(address: str) -> dict[str, Any]:
    """The page of the form without its query, of which the campaign alone is kept."""
    if not address.startswith(("http://", "https://")) or len(address) > 2_048:
        return {}
    try:
        parts = urlsplit(address)
        query = parse_qsl(parts.query, max_num_fields=100) if "utm_" in parts.query else ()
    except ValueError:
        return {}
    return {"url": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}", **campaign(query)}


def campaign(query: Iterable[tuple[str, str]]) -> dict[str, str]:
    """`utm_campaign` and its companions, the campaign also under our own name."""
    utm = {name: value for name, value in query if name.startswith("utm_") and len(name) <= 32}
    return {**({"campaign": utm["utm_campaign"]} if "utm_campaign" in utm else {}), **utm}


def _id(key: str, draft: _Draft, lead: Mapping[str, Any], now: datetime) -> str:
    """The same for a double click and for a page sent again by its browser: made of what was filled in, and of the text
    that was made when the page was loaded, or, where the page has none, of the day (UTC).

    Made of the content too, since who goes back and corrects the form sends another one. Where nothing in the content
    tells who sends it, the browser does.
    """
    submission = draft.own.get(SUBMISSION, "")[:_MAX_SUBMISSION]
    named = [key, submission or f"day {now:%Y-%m-%d}", draft.said]
    if not submission and lead.keys() == {"anonymous_id"}:
        named.append(lead["anonymous_id"])
    return hashlib.blake2b(orjson.dumps(named), digest_size=16).hexdigest()


def _notes(draft: _Draft, submission: Submission) -> list[str]:
    notes = []
    if not submission.activity["lead"].get("email"):
        notes.append("no field is understood as the e-mail address: name one under `fields:` as lead.email")
    if SUBMISSION not in draft.own:
        notes.append(f"no field {SUBMISSION}: the same content of one person or browser counts once a day")
    if submission.honeypot:
        notes.append("the honeypot field is filled in: browsers that fill in forms would mark people as programs")
    return notes


def located(place: str, places: Mapping[str, str]) -> str:
    """The pointer of a fault in an activity as a pointer to the form's own field."""
    wanted = place.lstrip("/").replace("/", ".")
    for name, to in places.items():
        if to == wanted:
            return pointer([unicodedata.normalize("NFC", name)])
    return place
