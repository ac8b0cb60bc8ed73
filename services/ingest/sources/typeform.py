"""Typeform: one form response a request.

Source: the AsyncAPI text made from Typeform's developer pages, public verifiers.
"""

from collections.abc import Mapping
from typing import Any

from services.ingest.sources.base import Adapter, Delivery, Options, ParsedItem
from services.ingest.sources.bodies import json_items
from services.ingest.sources.drafts import an_object, each, lead, our_type, posted
from services.ingest.sources.people import attributes, chosen, our_name, person
from services.ingest.sources.recipes import Recipe
from services.ingest.sources.signatures import by_recipe
from services.ingest.sources.values import from_date, given_id, listing, mapping, text, unnamed

NAME = "typeform"
TYPES = {"form_response": "form_submitted", "form_response_partial": "form_started"}
_KNOWN_KINDS = {"email": "email", "phone_number": "phone"}

verify = by_recipe(Recipe(header="Typeform-Signature", encoding="base64", form="sha256={signature}"))


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """One response, or an array of them."""
    return each(json_items(delivery), lambda item: _item(an_object(item), options))


def _item(item: dict[str, Any], options: Options) -> ParsedItem:
    response = mapping(item.get("form_response"))
    definition, hidden = mapping(response.get("definition")), mapping(response.get("hidden"))
    titles = {_name(field): text(field.get("title")) for field in map(mapping, listing(definition.get("fields")))}
    answers = [mapping(answer) for answer in listing(response.get("answers"))]
    known = {**person(hidden, options.region), **_person(answers, titles, options.region)}
    kind = text(item.get("event_type"))
    named = (response.get("token"), response.get("submitted_at"))
    return posted(
        options,
        item,
        id_=given_id(options.source, item.get("event_id"), kind, *named, unnamed(item, *named)),
        kind=kind,
        type_=our_type(kind, TYPES, options),
        at=from_date(response.get("submitted_at"), options.zone),
        lead=lead(options, email=known.get("email"), phone=known.get("phone"), external=response.get("token")),
        attributes=attributes(known),
        properties={
            "form": text(response.get("form_id")),
            "form_name": text(definition.get("title")),
            "form_score": mapping(response.get("calculated")).get("score"),
            "answers": {_name(mapping(answer.get("field"))): _value(answer) for answer in answers},
            **{name: text(value) for name, value in hidden.items() if not our_name(name)},
        },
    )


def _name(field: Mapping[str, Any]) -> str:
    return text(field.get("ref")) or text(field.get("id")) or ""


def _value(answer: Mapping[str, Any]) -> Any:
    """The value stands under the key that `type` names; of choices the labels."""
    value = answer.get(text(answer.get("type")) or "")
    if isinstance(value, dict):
        labels = value.get("labels") if "labels" in value else value.get("label") or value.get("other")
        return labels if labels is not None else value
    return value


def _person(answers: list[Mapping[str, Any]], titles: Mapping[str, str | None], region: str) -> dict[str, str]:
    """Answers that name or describe the person: by their kind, else by the question's reference or title."""
    return chosen(((_ours(answer, titles), text(_value(answer))) for answer in answers), region)


def _ours(answer: Mapping[str, Any], titles: Mapping[str, str | None]) -> str | None:
    name = _name(mapping(answer.get("field")))
    return _KNOWN_KINDS.get(text(answer.get("type")) or "") or our_name(name) or our_name(titles.get(name) or "")


ADAPTER = Adapter(name=NAME, verify=verify, parse=parse, best_effort=True)
