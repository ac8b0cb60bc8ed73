"""The sample: what a month of activities of many leads looks like to ingest, the same to the byte on every machine."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from deploy.demo.diary import HOUR, Diary, Moment
from deploy.demo.dice import Dice
from deploy.demo.journeys import COLD_LIMIT, WARM_LIMIT, live, live_hot
from deploy.demo.people import Person, make_companies, make_people

SEED = 20_261_001
START = datetime(2026, 10, 1, tzinfo=ZoneInfo("Asia/Tokyo"))
DAYS = 30
COMPANIES = 200
LEADS = 2_000


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A moment on its way: `order` breaks ties between activities that arrive in the same second."""

    at: int
    order: int
    activity: dict[str, Any]


def generate(
    seed: int = SEED, start: datetime = START, days: int = DAYS, companies: int = COMPANIES, leads: int = LEADS
) -> Iterator[dict[str, Any]]:
    """Activities as posted, in the order of their arrival; `start` is a local midnight.

    Some arrive hours or days late, some twice under the same id. Nothing but `occurred_at` depends on `start`.
    """
    dice = Dice(seed)
    people = _sharing(make_people(dice, make_companies(companies), leads))
    arrivals: list[_Arrival] = []
    numbers: dict[str, int] = {}
    for person in people:
        for moment in _moments(person, dice, days):
            numbers[moment.source] = numbers.get(moment.source, 0) + 1
            activity = _activity(moment, f"{moment.source}-{numbers[moment.source]:06d}", start, dice)
            arrived = moment.at + _delay(moment, person, dice)
            arrivals.append(_Arrival(arrived, len(arrivals), activity))
            if dice.happens(2):
                arrivals.append(_Arrival(arrived + dice.between(1, 5 * HOUR), len(arrivals), activity))
    arrivals.sort(key=lambda arrival: (arrival.at, arrival.order))
    return (arrival.activity for arrival in arrivals)


def start_for(now: datetime, start: datetime = START, days: int = DAYS) -> datetime:
    """The start that lies whole weeks before `start` if the sample would otherwise reach into the future of `now`."""
    too_late = start + timedelta(days=days) - now
    weeks = max(-(-too_late // timedelta(weeks=1)), 0)
    return start - timedelta(weeks=weeks)


def _moments(person: Person, dice: Dice, days: int) -> list[Moment]:
    limit = COLD_LIMIT if person.interest == "cold" else WARM_LIMIT
    diary = Diary(person, dice, days, limit - 2 * person.fit)
    if person.interest == "hot":
        live_hot(diary)
    else:
        live(diary)
    return sorted(diary.moments, key=lambda moment: moment.at)


def _sharing(people: list[Person]) -> list[Person]:
    """Some colleagues use one computer at work, a few one mobile phone."""
    shared = list(people)
    for person in people[:-1]:
        number, other = person.number, shared[person.number + 1]
        if person.kind != "email" or other.kind != "email" or person.interest != "cold":
            continue
        if number % 40 == 11:
            shared[number + 1] = replace(other, browser=person.browser)
        if number % 200 == 51:
            shared[number + 1] = replace(shared[number + 1], phone=person.phone)
    return shared


def _delay(moment: Moment, person: Person, dice: Dice) -> int:
    """Seconds until an activity arrives. Most at once, some late; clicks of coming customers are always prompt."""
    prompt = dice.below(30)
    late = dice.between(1, 60) * HOUR
    if person.interest == "hot" and moment.type == "email_clicked":
        return prompt
    slow = {"card_exchanged": 60, "email_opened": 10, "call_connected": 20}.get(moment.type, 3)
    return late if dice.happens(slow) else prompt


def _activity(moment: Moment, id_: str, start: datetime, dice: Dice) -> dict[str, Any]:
    occurred_at = start + timedelta(seconds=moment.at)
    if moment.source == "mail":  # mail services report in UTC
        occurred_at = occurred_at.astimezone(UTC)
    activity: dict[str, Any] = {
        "id": id_,
        "source": moment.source,
        "type": moment.type,
        "occurred_at": occurred_at.isoformat(),
        "lead": _as_typed(moment.lead, dice),
    }
    if moment.attributes:
        activity["attributes"] = moment.attributes
    if moment.properties:
        activity["properties"] = moment.properties
    if moment.consent:
        activity["consent"] = {"profiling": True, "email": True}
    return activity


def _as_typed(lead: dict[str, Any], dice: Dice) -> dict[str, Any]:
    """The same identifiers as people write them: a capital here, no hyphens there."""
    typed = dict(lead)
    if "email" in typed and dice.happens(4):
        typed["email"] = typed["email"][0].upper() + typed["email"][1:]
    if "phone" in typed and dice.happens(30):
        typed["phone"] = typed["phone"].replace("-", "")
    return typed


__all__ = ["COMPANIES", "DAYS", "LEADS", "SEED", "START", "generate", "start_for"]
