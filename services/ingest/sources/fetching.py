"""Asking a tool's API for what its webhooks leave out: types, and what the tools have in common. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.ingest.sources.base import Options, ParsedItem
from services.ingest.sources.drafts import posted
from services.ingest.sources.values import mapping, text

FETCHED = "fetched"
"""The kind of an activity that completes another; nothing is ever asked about it."""


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """One source's access to its tool's API: `api` is the base address, without a slash at its end."""

    token: str
    api: str
    version: str
    calls_per_minute: int


@dataclass(frozen=True, slots=True)
class Question:
    """One GET. Equal questions have equal answers at the same moment."""

    url: str
    headers: tuple[tuple[str, str], ...]


Ask = Callable[[Mapping[str, Any], Options, FetchOptions], Question | None]
ReadAnswer = Callable[[Mapping[str, Any], Any, Options], ParsedItem]


@dataclass(frozen=True, slots=True)
class Fetcher:
    """How one tool is asked. Both functions are pure.

    `ask` is given an activity as it stands on `lead-activities`, and answers None where nothing is to be asked.
    `read` is given the same activity and the decoded JSON of the answer, and makes the activity that completes it: of
    the same person, with an id of its own that stays the same while the answer does. It may raise Unreadable.
    """

    ask: Ask
    read: ReadAnswer
    api: str
    version: str
    calls_per_minute: int


def external_id(activity: Mapping[str, Any], options: Options) -> str:
    """What the tool knows the activity's lead by, "" for nothing."""
    return text(mapping(mapping(activity.get("lead")).get("external_ids")).get(options.system)) or ""


def kind_of(activity: Mapping[str, Any]) -> str:
    """The tool's word for what happened."""
    return text(mapping(activity.get("properties")).get("kind")) or ""


def bearer(options: FetchOptions, *more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """The headers of a question: never in the URL, which ends up in logs."""
    return (("Authorization", f"Bearer {options.token}"), ("Accept", "application/json"), *more)


def completing(
    activity: Mapping[str, Any],
    options: Options,
    answer: Any,
    *,
    id_: str,
    at: str | None,
    lead: dict[str, Any],
    attributes: Mapping[str, Any],
    answers: Mapping[str, Any],
) -> ParsedItem:
    """An activity that says who someone is and what they answered; it earns nothing by itself."""
    return posted(
        options,
        answer,
        id_=id_,
        kind=FETCHED,
        type_="profile_updated",
        at=at,
        lead=lead,
        attributes=attributes,
        properties={"completes": activity.get("id"), "answers": answers},
    )
