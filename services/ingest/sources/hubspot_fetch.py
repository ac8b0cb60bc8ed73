"""HubSpot's object API: the contact behind an event of an app. Source: HubSpot's guide to the contacts API."""

import re
from collections.abc import Mapping
from typing import Any

from services.ingest.sources.base import Options, ParsedItem, Unreadable
from services.ingest.sources.drafts import an_object
from services.ingest.sources.fetching import FETCHED, Fetcher, FetchOptions, Question, bearer, external_id, kind_of
from services.ingest.sources.hubspot import contact_record
from services.ingest.sources.values import mapping, text

_ID = re.compile(r"[0-9]{1,20}", re.ASCII)
_KINDS = frozenset({"creation", "propertyChange", "associationChange", "restore"})
_PROPERTIES = (
    "email,firstname,lastname,phone,mobilephone,company,jobtitle,industry,numberofemployees,annualrevenue,country,"
    "state,city,zip,website,lifecyclestage,hs_email_optout,lastmodifieddate"
)


def ask(activity: Mapping[str, Any], options: Options, fetch: FetchOptions) -> Question | None:
    """`GET /crm/{version}/objects/contacts/{id}`, for events that leave a contact behind."""
    contact, (object_, _, kind) = external_id(activity, options), kind_of(activity).partition(".")
    if object_ not in ("contact", "object") or kind not in _KINDS or not _ID.fullmatch(contact):
        return None
    url = f"{fetch.api}/crm/{fetch.version}/objects/contacts/{contact}?properties={_PROPERTIES}"
    return Question(url, bearer(fetch))


def read(activity: Mapping[str, Any], body: Any, options: Options) -> ParsedItem:
    """The contact as it is now; a later change makes another activity."""
    contact = an_object(body)
    if text(contact.get("id")) != external_id(activity, options):
        raise Unreadable("the answer is about another contact")
    properties = {name: value for name, value in mapping(contact.get("properties")).items() if value is not None}
    return contact_record({**contact, "properties": properties}, options, kind=FETCHED, type_="profile_updated")


FETCHER = Fetcher(ask, read, api="https://api.hubapi.com", version="v3", calls_per_minute=480)
