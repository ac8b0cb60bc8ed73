"""Eventbrite's API: the attendee or order that an action is about. Source: Eventbrite's API reference.

The address is built from the numbers of the delivery; its own `api_url` is never called.
"""

import re
from collections.abc import Mapping
from typing import Any

from services.ingest.sources.base import Options, ParsedItem, Unreadable
from services.ingest.sources.drafts import an_object, lead
from services.ingest.sources.eventbrite import API_HOST
from services.ingest.sources.fetching import FETCHED, Fetcher, FetchOptions, Question, bearer, completing, kind_of
from services.ingest.sources.people import attributes, our_name, person
from services.ingest.sources.values import derived_id, from_date, listing, mapping, text

_NUMBER = re.compile(r"[0-9]{1,30}", re.ASCII)
# What stands in a field as long as the buyer has not said who comes.
_PENDING = "Info Requested"
_BUYER = ("email", "name", "first_name", "last_name")


def ask(activity: Mapping[str, Any], options: Options, fetch: FetchOptions) -> Question | None:  # noqa: ARG001 - the shape of a question
    """`GET /{version}/events/{event}/attendees/{attendee}/` or `/{version}/orders/{order}/`."""
    event, attendee, order = _numbers(activity)
    if kind_of(activity) in ("", FETCHED):
        return None
    if attendee and event:
        path = f"events/{event}/attendees/{attendee}/"
    elif order:
        path = f"orders/{order}/"
    else:
        return None
    return Question(f"{fetch.api}/{fetch.version}/{path}", bearer(fetch))


def read(activity: Mapping[str, Any], body: Any, options: Options) -> ParsedItem:
    """Who attends, or who ordered; another activity for each change of the object."""
    found, (_, attendee, order) = an_object(body), _numbers(activity)
    if text(found.get("id")) != (attendee or order):
        raise Unreadable("the answer is about another object")
    name = f"attendee-{attendee}" if attendee else f"order-{order}"
    changed = text(found.get("changed"))
    profile = mapping(found.get("profile")) or {field: found.get(field) for field in _BUYER}
    known = {field: said for field, said in person(profile, options.region).items() if said != _PENDING}
    told = {
        text(answer.get("question")): text(answer.get("answer"))
        for answer in map(mapping, listing(found.get("answers")))
    }
    return completing(
        activity,
        options,
        body,
        id_=derived_id(options.source, "fetched", name, changed),
        at=from_date(changed or text(found.get("created")), options.zone) or text(activity.get("occurred_at")),
        lead=lead(options, email=known.get("email"), phone=known.get("phone"), external=name),
        attributes=attributes(known),
        answers={question: said for question, said in told.items() if question and said and not our_name(question)},
    )


def _numbers(activity: Mapping[str, Any]) -> tuple[str, ...]:
    told = mapping(activity.get("properties"))
    numbers = (text(told.get(name)) or "" for name in ("event", "attendee", "order"))
    return tuple(number if _NUMBER.fullmatch(number) else "" for number in numbers)


FETCHER = Fetcher(ask, read, api=f"https://{API_HOST}", version="v3", calls_per_minute=16)
