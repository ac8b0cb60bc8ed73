"""Which of the sample's activities belong to one person, decided anew here so that it can check what scoring decides.

Plain on purpose: no code is shared with the services, and only what the sample holds is understood.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

SHARED = {"info"}
"""The one shared mailbox that the sample knows."""
_STRENGTH = ("email", "external", "phone", "browser", "mailbox")
Sign = tuple[str, str]
"""A kind of `_STRENGTH` and a value."""


@dataclass(slots=True)
class Group:
    """One person: the signs it is known by, and its activities in the order of (occurred_at, id, source)."""

    signs: set[Sign] = field(default_factory=set)
    activities: list[dict[str, Any]] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The strongest sign as text; behind a shared mailbox the name tells who it is."""
        kind, value = min(self.signs, key=lambda sign: (_STRENGTH.index(sign[0]), sign[1]))
        return value.replace("\n", " ") if kind == "mailbox" else value

    def has_email(self) -> bool:
        """Whether an address of its own is among its signs."""
        return any(kind == "email" for kind, _ in self.signs)


def when(activity: dict[str, Any]) -> datetime:
    """When it happened."""
    return datetime.fromisoformat(activity["occurred_at"])


def in_order(activities: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each activity once, in the order in which they count."""
    once = {(activity["source"], activity["id"]): activity for activity in activities}
    return sorted(once.values(), key=lambda activity: (when(activity), activity["id"], activity["source"]))


def group(activities: Iterable[dict[str, Any]]) -> list[Group]:
    """People with their activities. A browser or a phone stays with the address it was first seen with."""
    ordered = in_order(activities)
    of_sign: dict[Sign, Group] = {}
    for activity in ordered:
        strongest, *weaker = signs(activity)
        own = of_sign.setdefault(strongest, Group({strongest}))
        for sign in weaker:
            other = of_sign.setdefault(sign, Group({sign}))
            if other is own or (own.has_email() and other.has_email()):
                continue
            own.signs |= other.signs
            of_sign.update(dict.fromkeys(other.signs, own))
    for activity in ordered:
        of_sign[signs(activity)[0]].activities.append(activity)
    return list({id(found): found for found in of_sign.values() if found.activities}.values())


def signs(activity: dict[str, Any]) -> list[Sign]:
    """What tells who it was, strongest first."""
    lead = activity["lead"]
    found: list[Sign] = []
    email = folded(lead["email"]) if "email" in lead else None
    if email and email.split("@")[0] not in SHARED:
        found.append(("email", email))
    found += [("external", f"{system}:{known_as}") for system, known_as in lead.get("external_ids", {}).items()]
    if "phone" in lead:
        found.append(("phone", "+81" + lead["phone"].replace("-", "")[1:]))
    if "anonymous_id" in lead:
        found.append(("browser", lead["anonymous_id"]))
    if not found and email:
        name = "".join(folded(activity["attributes"]["name"]).split())
        found.append(("mailbox", f"{email}\n{name}"))
    return found


def folded(text: str) -> str:
    """The comparison form of a text."""
    return unicodedata.normalize("NFKC", text).casefold()
