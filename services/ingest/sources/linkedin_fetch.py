"""LinkedIn's Lead Sync API: the answers of a submitted lead form.

Source: LinkedIn's pages on leadFormResponses, with the questions of the form in the same answer (field projection).
"""

import re
from collections.abc import Mapping
from typing import Any

from services.ingest.sources.base import Ignored, Options, ParsedItem
from services.ingest.sources.drafts import an_object, lead
from services.ingest.sources.fetching import Fetcher, FetchOptions, Question, bearer, completing, external_id, kind_of
from services.ingest.sources.people import attributes, our_name, person
from services.ingest.sources.values import derived_id, listing, mapping, text, truth

_URN = re.compile(r"urn:li:leadGenFormResponse:([0-9A-Za-z_-]{1,80})", re.ASCII)
_FIELDS = "id,submittedAt,testLead,formResponse,form:(id,name,content)"


def ask(activity: Mapping[str, Any], options: Options, fetch: FetchOptions) -> Question | None:
    """`GET /rest/leadFormResponses/{id}`; not for a lead that was taken back."""
    found = _URN.fullmatch(external_id(activity, options))
    if kind_of(activity) != "CREATED" or found is None:
        return None
    headers = bearer(fetch, ("LinkedIn-Version", fetch.version), ("X-Restli-Protocol-Version", "2.0.0"))
    return Question(f"{fetch.api}/rest/leadFormResponses/{found[1]}?fields={_FIELDS}", headers)


def read(activity: Mapping[str, Any], body: Any, options: Options) -> ParsedItem:
    """The person behind the URN."""
    if truth(an_object(body).get("testLead")):
        return Ignored("test lead")
    answers, urn = _answers(body), external_id(activity, options)
    # A form may ask for both addresses; the one at work tells the company.
    known = person(dict(sorted(answers.items(), key=lambda pair: not pair[0].startswith("WORK_"))), options.region)
    return completing(
        activity,
        options,
        body,
        id_=derived_id(options.source, "fetched", urn),
        at=text(activity.get("occurred_at")),
        lead=lead(options, email=known.get("email"), phone=known.get("phone"), external=urn),
        attributes=attributes(known),
        answers={name: said for name, said in answers.items() if not our_name(name)},
    )


def _answers(body: Mapping[str, Any]) -> dict[str, str]:
    """Answers by the predefined field of their question, else by its name, else by its number."""
    content = mapping(mapping(body.get("form")).get("content"))
    names = {
        text(question.get("questionId")): text(question.get("predefinedField")) or text(question.get("name"))
        for question in map(mapping, listing(content.get("questions")))
    }
    answers: dict[str, str] = {}
    for answer in map(mapping, listing(mapping(body.get("formResponse")).get("answers"))):
        number = text(answer.get("questionId"))
        name = names.get(number) or text(answer.get("name")) or number
        said = _said(mapping(answer.get("answerDetails")))
        if name and said:
            answers.setdefault(_SPELT.get(name, name), said)
    return answers


_SPELT = {"WORK_PHONE_NUMBER": "WORK_PHONE"}


def _said(details: Mapping[str, Any]) -> str | None:
    chosen = listing(mapping(details.get("multipleChoiceAnswer")).get("options"))
    return text(mapping(details.get("textQuestionAnswer")).get("answer")) or ", ".join(filter(None, map(text, chosen)))


FETCHER = Fetcher(ask, read, api="https://api.linkedin.com", version="202610", calls_per_minute=60)
