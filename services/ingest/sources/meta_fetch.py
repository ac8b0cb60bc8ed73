"""Meta's Graph API: the answers of a submitted lead form. Source: Meta's lead-ads guides."""

import re
from collections.abc import Mapping
from typing import Any

from services.ingest.sources.base import Ignored, Options, ParsedItem
from services.ingest.sources.drafts import an_object, lead
from services.ingest.sources.fetching import Fetcher, FetchOptions, Question, bearer, completing, external_id, kind_of
from services.ingest.sources.meta import TYPES, answers_of
from services.ingest.sources.people import attributes, our_name, person
from services.ingest.sources.values import derived_id, mapping, text

_ID = re.compile(r"[0-9]{1,40}", re.ASCII)
_FIELDS = "id,created_time,form_id,ad_id,campaign_id,field_data"
_TEST = "<test lead:"


def ask(activity: Mapping[str, Any], options: Options, fetch: FetchOptions) -> Question | None:
    """`GET /{version}/{leadgen_id}`, unless the delivery held the answers."""
    id_, said = external_id(activity, options), mapping(activity.get("properties")).get("answers")
    if kind_of(activity) not in TYPES or said or not _ID.fullmatch(id_):
        return None
    return Question(f"{fetch.api}/{fetch.version}/{id_}?fields={_FIELDS}", bearer(fetch))


def read(activity: Mapping[str, Any], body: Any, options: Options) -> ParsedItem:
    """The person behind the `leadgen_id`."""
    answers = answers_of(an_object(body))
    if any((text(said) or "").startswith(_TEST) for said in answers.values()):
        return Ignored("test lead")
    known, id_ = person(answers, options.region), external_id(activity, options)
    return completing(
        activity,
        options,
        body,
        id_=derived_id(options.source, "fetched", id_),
        at=text(activity.get("occurred_at")),
        lead=lead(options, email=known.get("email"), phone=known.get("phone"), external=id_),
        attributes=attributes(known),
        answers={name: said for name, said in answers.items() if not our_name(name)},
    )


FETCHER = Fetcher(ask, read, api="https://graph.facebook.com", version="v24.0", calls_per_minute=200)
