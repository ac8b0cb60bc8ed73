"""What the page tag sends: a few activities of one browser, with the site's public key."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from services.ingest.site.config import Tag
from services.ingest.site.submission import campaign, names_somebody
from shared.clock import to_rfc3339
from shared.errors import FieldFault, ProblemError, pointer
from shared.posted import ActivityFaults

MAX_ACTIVITIES = 100
_HEAD = frozenset({"write_key", "anonymous_id", "activities"})
_OWN = frozenset({"type", "id", "occurred_at", "age_ms", "lead", "attributes", "properties", "consent"})
_MAX_AGE_MS = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class Beacon:
    """One request of the tag. `activities` are as sent."""

    write_key: str
    anonymous_id: str | None
    activities: list[Any]


def read_beacon(body: Any, key_in_query: str) -> Beacon:
    """A decoded body: `{write_key, anonymous_id, activities: […]}`, or one activity with the first two beside its own
    fields. Raises ProblemError 413, 422.
    """
    if not isinstance(body, dict):
        raise ProblemError(422, "invalid_fields", "Expected an object with write_key, anonymous_id and activities.")
    key, browser = body.get("write_key", key_in_query), body.get("anonymous_id")
    faults = []
    if not isinstance(key, str):
        faults.append(FieldFault("/write_key", "expected a text"))
    if browser is not None and not isinstance(browser, str):
        faults.append(FieldFault("/anonymous_id", "expected a text"))
    activities = body.get("activities")
    if activities is None:
        activities = [{name: value for name, value in body.items() if name not in _HEAD}]
    elif not isinstance(activities, list):
        faults.append(FieldFault("/activities", "expected an array"))
    else:
        faults += [FieldFault(f"/{name}", "unknown field") for name in body.keys() - _HEAD - {"sent_at"}]
    if faults:
        raise ProblemError(422, "invalid_fields", "The tag's request is not as expected.", faults)
    if len(activities) > MAX_ACTIVITIES:
        raise ProblemError(413, "too_many_items", f"At most {MAX_ACTIVITIES} activities go into one request.")
    return Beacon(key, browser, activities)


def posted_of(item: Any, beacon: Beacon, tag: Tag, now: datetime) -> dict[str, Any]:
    """One activity as `POST /v1/activities` would take it; what is wrong in it is left for that to find.

    `age_ms` says how long ago it was, which needs no right clock. Raises ActivityFaults for what only the tag has.
    """
    if not isinstance(item, dict):
        raise ActivityFaults([FieldFault("", "an activity is a JSON object")])
    if unknown := item.keys() - _OWN:
        raise ActivityFaults([FieldFault(pointer([name]), "unknown field") for name in sorted(unknown)])
    if tag.types is not None and item.get("type") not in tag.types:
        raise ActivityFaults([FieldFault("/type", "this site may not send it")])
    raw = {name: value for name, value in item.items() if name != "age_ms"}
    raw["source"] = tag.name
    if (age_ms := item.get("age_ms")) is not None:
        if type(age_ms) is not int or not 0 <= age_ms <= _MAX_AGE_MS:
            raise ActivityFaults([FieldFault("/age_ms", "expected milliseconds, at most 7 days")])
        if age_ms:
            raw["occurred_at"] = to_rfc3339(now - timedelta(milliseconds=age_ms))
    lead = raw.get("lead", {})
    if beacon.anonymous_id and isinstance(lead, dict):
        raw["lead"] = {"anonymous_id": beacon.anonymous_id, **lead}
        _keep_unread_address(raw)
    properties = raw.get("properties")
    if isinstance(properties, dict) and isinstance(url := properties.get("url"), str) and "utm_" in url:
        raw["properties"] = {**_campaign(url), **properties}
    return raw


def _keep_unread_address(raw: dict[str, Any]) -> None:
    """What a visitor mistyped is kept as a property: nobody is there to be told, and the browser names the lead."""
    email, properties = raw["lead"].get("email"), raw.get("properties", {})
    if isinstance(email, str) and names_somebody(email) is None and isinstance(properties, dict):
        raw["lead"] = {kind: value for kind, value in raw["lead"].items() if kind != "email"}
        raw["properties"] = {"email": email, **properties}


def _campaign(url: str) -> Mapping[str, str]:
    try:
        return campaign(parse_qsl(urlsplit(url).query, max_num_fields=100))
    except ValueError:
        return {}
