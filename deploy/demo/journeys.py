"""What people do in a month: most read a little, some look around, a few get ready to buy."""

from collections.abc import Callable
from typing import Any

from deploy.demo.diary import DAY, HOUR, PRICING, Diary, Known

DOCUMENTS = ("price-list-2026", "case-study-factory", "case-study-office", "security-guide", "roi-worksheet", "catalog")
PAGES = ("/", "/products", "/cases", "/blog/visibility", "/blog/dx-first-steps", "/company", "/faq")
SITE = "https://www.example.co.jp"
_MAIL_LINKS = (f"{SITE}/cases/factory", f"{SITE}/webinars", f"{SITE}/blog/visibility")

# When things are held, as a share of the sample's span in thirtieths.
NEWSLETTERS = (5, 12, 19, 26)
WEBINARS = (6, 13, 20, 27)
SEMINARS = (8, 22)
EXHIBITION = (14, 15)

# What a lead that is never handed over may earn at most, in half points, fit included: below 50, also when two people
# share a browser.
COLD_LIMIT, WARM_LIMIT = 80, 92
# Before it gets serious, even a coming customer stays so far below 50 that no mail click can be what crosses it.
EARLY_LIMIT = 68
ENOUGH = 102


def scaled(day: int, days: int) -> int:
    """A day of a month on a span of `days`."""
    return day * days // 30


def live(diary: Diary) -> None:
    """Write one person's month into the diary."""
    person = diary.person
    if person.kind in _ODD:
        _ODD[person.kind](diary)
        return
    _introduce(diary)
    if person.interest != "cold":
        _look_around(diary)
    _odds_and_ends(diary)


def live_hot(diary: Diary) -> None:
    """A journey to the end: as any other at first, then request after request until the points are enough."""
    diary.left = 18 + diary.dice.below(EARLY_LIMIT - 17 - 2 * diary.person.fit)
    days = diary.days
    early = diary.days = max(days * 2 // 5, 1)
    _introduce(diary, starts=0)
    _look_around(diary)
    diary.days, diary.left = days, None
    _get_serious(diary, early)


def _introduce(diary: Diary, starts: int | None = None) -> None:
    """How we come to know a person: anonymous pages first, then a form; or a card, an advertisement, a newsletter."""
    dice, days = diary.dice, diary.days
    day = starts if starts is not None else dice.below(max(days * 2 // 3, 1))
    at = diary.time(day)
    if diary.person.browser and diary.person.kind == "email":
        for number in range(dice.between(1, 4)):
            _view(diary, at - (4 - number) * dice.between(70, 900), "browser")
    way = dice.below(100)
    if way < 45:
        _subscribe(diary, at)
    elif way < 65:
        diary.add("form_submitted", at, {"form": "contact-ja"}, known="all", details=True)
    elif way < 80:
        diary.add("document_requested", at, {"document": dice.pick(DOCUMENTS)}, known="all", details=True)
    elif way < 90 and starts is None:
        _visit_exhibition(diary)
    else:
        diary.add("ad_lead_submitted", at, {"campaign": "autumn-2026"}, known="all", details=True)


def _subscribe(diary: Diary, at: int) -> None:
    diary.add("newsletter_subscribed", at, {"campaign": "newsletter"}, known="all", details=True)
    eager = {"hot": 70, "warm": 60, "cold": 30}[diary.person.interest]
    dice = diary.dice
    leaves = diary.person.interest == "cold" and dice.happens(4)
    bounces = diary.person.interest == "cold" and dice.happens(3)
    for number, month_day in enumerate(NEWSLETTERS):
        sent = scaled(month_day, diary.days) * DAY + 9 * HOUR + dice.below(600)
        if sent < at:
            continue
        mail: dict[str, Any] = {"email_id": f"newsletter-{number + 1}"}
        if bounces:
            diary.add("email_bounced", sent + 4, {**mail, "reason": "mailbox full"})
            return
        diary.add("email_delivered", sent + 3, mail)
        if not dice.happens(eager):
            continue
        opened = sent + dice.between(300, 2 * DAY)
        diary.add("email_opened", opened, mail)
        if leaves and number > 0:
            diary.add("email_unsubscribed", opened + dice.between(90, 400), mail)
            return
        if dice.happens(eager // 3):
            clicked = opened + dice.between(20, 300)
            if diary.add("email_clicked", clicked, {**mail, "link": dice.pick(_MAIL_LINKS)}):
                _view(diary, clicked + 2, "browser")


def _visit_exhibition(diary: Diary) -> None:
    at = diary.time(scaled(diary.dice.pick(EXHIBITION), diary.days), 10, 17)
    event = {"event": "autumn-expo-2026"}
    diary.add("card_exchanged", at, event, known="all", details=True)
    diary.add("exhibition_visited", at + diary.dice.between(60, 900), event)


def _view(diary: Diary, at: int, known: Known = "browser", *, pricing: bool = False) -> None:
    path = "/pricing" if pricing else diary.dice.pick(PAGES)
    campaign = "?utm_campaign=autumn" if diary.dice.happens(10) else ""
    diary.add("page_viewed", at, {"url": f"{SITE}{path}{campaign}"}, known=known, most=PRICING if pricing else None)


def _look_around(diary: Diary) -> None:
    """Several visits with pages and documents, a webinar or a seminar, a call."""
    dice = diary.dice
    for _ in range(dice.between(2, 4)):
        at = diary.time(dice.below(diary.days))
        for _ in range(dice.between(1, 4)):
            _view(diary, at)
            at += dice.between(20, 300)
        if dice.happens(30):
            _view(diary, at + 30, pricing=True)
        if dice.happens(55):
            document = {"document": dice.pick(DOCUMENTS)}
            diary.add("document_downloaded", at + 60, document, known="all", details=dice.happens(40))
            if dice.happens(10):
                # The same file once more: counted, not paid again.
                diary.add("document_downloaded", at + 300, document)
    if dice.happens(50):
        _attend(diary, "webinar" if dice.happens(70) else "seminar", dice.happens(70))
    _call(diary, diary.time(dice.below(diary.days), 10, 18))


def _attend(diary: Diary, what: str, comes: bool, since: int = 0) -> None:
    """Register for an event on day `since` or later (the last one, if there is none), and perhaps come."""
    dice = diary.dice
    dates = [scaled(day, diary.days) for day in (WEBINARS if what == "webinar" else SEMINARS)]
    number, day = dice.pick([pair for pair in enumerate(dates) if pair[1] >= since] or [(len(dates) - 1, dates[-1])])
    event = {"event": f"{what}-{number + 1}"}
    starts = day * DAY + (16 if what == "webinar" else 14) * HOUR
    registered = diary.add(f"{what}_registered", starts - dice.between(1, 4) * DAY, event, details=dice.happens(50))
    if registered and comes:
        diary.add(f"{what}_attended", starts + dice.below(600), event)


def _call(diary: Diary, at: int) -> None:
    dice = diary.dice
    known: Known = "phone" if dice.happens(50) else "external"
    if dice.happens(50):
        diary.add("call_missed", at, known=known)
        at += dice.between(2, 26) * HOUR
    if dice.happens(60):
        diary.add("call_connected", at, {"seconds": dice.between(40, 900)}, known=known)


def _odds_and_ends(diary: Diary) -> None:
    """Reports that earn nothing, and pages in between."""
    dice = diary.dice
    for _ in range(dice.between(0, 5)):
        _view(diary, diary.time(dice.below(diary.days)))
    if dice.happens(4):
        diary.add("profile_updated", diary.time(dice.below(diary.days)), {"field": "address"})
    if dice.happens(1):
        diary.add("unknown", diary.time(dice.below(diary.days)), {"raw": "poll_answered"})


def _get_serious(diary: Diary, first_day: int) -> None:
    """Strong steps in any order until they and the fit alone make enough points, each step paid for certain."""
    dice, days = diary.dice, diary.days
    sure, wanted = 2 * diary.person.fit, ENOUGH + dice.below(24)
    steps = ["demo", "quote", "inquiry", "trial", "meeting", "webinar", "seminar", "offer", "order"]
    while sure < wanted and steps:
        step = steps.pop(dice.below(len(steps)))
        sure += _STEPS[step](diary, diary.time(dice.between(first_day, days - 2), 9, 19))
    diary.add("email_delivered", diary.time(days - 2), {"email_id": "follow-up"})
    if dice.happens(40):
        diary.add("email_opened", diary.time(days - 1), {"email_id": "follow-up"})
    for _ in range(dice.between(3, 9)):
        _view(diary, diary.time(dice.between(first_day, days - 1)), pricing=dice.happens(30))


def _request(kind: str, half_points: int) -> Callable[[Diary, int], int]:
    def step(diary: Diary, at: int) -> int:
        _view(diary, at - 300, pricing=True)
        diary.add(kind, at, {"form": kind.replace("_", "-")}, known="all", details=True)
        return half_points

    return step


def _meeting(diary: Diary, at: int) -> int:
    diary.add("call_connected", at - 2 * HOUR, {"seconds": 420}, known="phone")
    diary.add("meeting_booked", at)
    held = at + diary.dice.between(1, 3) * DAY
    if held >= diary.days * DAY:
        return 20
    diary.add("meeting_held", held)
    return 50


def _offer(diary: Diary, at: int) -> int:
    diary.add("email_delivered", at, {"email_id": "offer"})
    diary.add("email_opened", at + 900, {"email_id": "offer"})
    diary.add("email_replied", at + 1_500, {"email_id": "offer"})
    return 16


def _order(diary: Diary, at: int) -> int:
    amount = diary.dice.between(12, 480) * 10_000
    diary.add("order_placed", at, {"amount": amount, "currency": "JPY"})
    return 20


def _event(what: str) -> Callable[[Diary, int], int]:
    def step(diary: Diary, at: int) -> int:  # noqa: ARG001 - the event has a time of its own
        # One registers up to four days before: that, too, must lie after the early part.
        _attend(diary, what, comes=True, since=diary.days * 2 // 5 + 4)
        return 20

    return step


_STEPS: dict[str, Callable[[Diary, int], int]] = {
    "demo": _request("demo_requested", 40),
    "quote": _request("quote_requested", 40),
    "inquiry": _request("inquiry_sent", 30),
    "trial": _request("trial_started", 30),
    "meeting": _meeting,
    "webinar": _event("webinar"),
    "seminar": _event("seminar"),
    "offer": _offer,
    "order": _order,
}


def _live_behind_a_mailbox(diary: Diary) -> None:
    asked = "inquiry_sent" if diary.dice.happens(30) else "form_submitted"
    diary.add(asked, diary.time(2), {"form": "contact-ja"}, details=True)
    if diary.dice.happens(50):
        diary.add("document_requested", diary.time(diary.days // 2), {"document": diary.dice.pick(DOCUMENTS)})


def _live_in_the_crm(diary: Diary) -> None:
    diary.add("profile_updated", diary.time(1), {"field": "owner"}, details=True)
    _call(diary, diary.time(diary.dice.below(diary.days), 10, 18))
    if diary.dice.happens(30):
        diary.add("meeting_booked", diary.time(diary.dice.below(diary.days), 10, 18))


def _live_on_the_phone(diary: Diary) -> None:
    _visit_exhibition(diary)
    _call(diary, diary.time(diary.dice.below(diary.days), 10, 18))


def _live_unknown(diary: Diary) -> None:
    at = diary.time(diary.dice.below(diary.days))
    for _ in range(diary.dice.between(2, 9)):
        _view(diary, at)
        at += diary.dice.between(15, 400)


_ODD: dict[str, Callable[[Diary], None]] = {
    "mailbox": _live_behind_a_mailbox,
    "external": _live_in_the_crm,
    "phone": _live_on_the_phone,
    "browser": _live_unknown,
}
