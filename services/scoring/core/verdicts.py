"""Who was it, a person or a machine? The judgement on hits of mails and pages, from one hit and from those around it.

A pure function of a lead's activities, so that a verdict found late takes back what was paid, in every replay. Signs:
flags of the tools, HEAD requests, honeypots; several links of one mail within seconds, several networks within two
minutes, unsubscribing and clicking within a minute. Agent and seconds since sending are weak and decide nothing.
Sources: Mautic's BotRatioHelper, Marketo's and Paminga's descriptions of their filters.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from shared.activity import Activity
from shared.clock import to_micros

DETECTOR = 1
"""The version of this judgement, noted with every stored verdict."""
HITS = frozenset({"email_opened", "email_clicked", "page_viewed"})
LOOKED_AT = HITS | {"email_unsubscribed"}
SEEN = frozenset({"email_opened", "page_viewed"})
"""Hits that say nothing by themselves unless they carry a sign."""
TOOLS_FLAGS = frozenset(
    {"machine_open", "proxy_open", "prefetched", "synthetic", "machine_click", "bot_activity", "filtered"}
)
WEAK_AGENTS = frozenset({"scanner", "library", "mail-proxy"})
LINKS, LINKS_WITHIN = 3, 10_000_000
NETWORKS, NETWORKS_WITHIN = 3, 120_000_000
UNSUBSCRIBED_WITHIN = 60_000_000
SOON_S = 2.0

Key = tuple[str, str]


class Verdict(NamedTuple):
    """`human`, `likely`, `unknown`, `suspected` or `scan`, and why."""

    word: str
    reasons: tuple[str, ...]


@dataclass(slots=True)
class Hit:
    """What the judgement keeps of a hit: as long as later ones may still change it."""

    at: int
    source: str
    id: str
    mail: str
    link: str
    network: str
    unsubscribes: bool
    reasons: set[str] = field(default_factory=set)

    @property
    def key(self) -> Key:
        """Of the activity."""
        return (self.source, self.id)

    def encode(self) -> list[Any]:
        """As JSON; `decode` reads it back."""
        names = sorted(self.reasons)
        return [self.at, self.source, self.id, self.mail, self.link, self.network, self.unsubscribes, names]

    @classmethod
    def decode(cls, raw: Sequence[Any]) -> "Hit":
        """The inverse of `encode`."""
        at, source, id_, mail, link, network, unsubscribes, reasons = raw
        return cls(at, source, id_, mail, link, network, unsubscribes, set(reasons))


def alone(activity: Activity) -> Verdict | None:
    """What the hit alone tells; None for what is no hit."""
    if activity.type not in HITS:
        return None
    signals = activity.signals or {}
    given = activity.properties.get("bot_signals")
    flags = {f"tool:{flag}" for flag in given if flag in TOOLS_FLAGS} if isinstance(given, list) else set()
    signs = flags | {name for name, there in _strong(signals) if there}
    if signs:
        return Verdict("scan", tuple(sorted(signs)))
    weak = tuple(name for name, there in _weak(signals, activity.properties) if there)
    if weak or not signals:
        return Verdict("unknown", weak)
    if signals.get("agent") == "browser":
        return Verdict("human" if signals.get("method") == "POST" else "likely", ("browser",))
    return Verdict("unknown", ())


def _strong(signals: dict[str, Any]) -> Iterable[tuple[str, bool]]:
    yield "head", signals.get("method") == "HEAD"
    yield "honeypot", signals.get("honeypot") is True


def _weak(signals: dict[str, Any], properties: dict[str, Any]) -> Iterable[tuple[str, bool]]:
    given = properties.get("bot_signals")
    yield "agent", signals.get("agent") in WEAK_AGENTS or (isinstance(given, list) and "agent" in given)
    since = signals.get("since_sent_s", properties.get("seconds_since_sent"))
    yield "soon", isinstance(since, (int, float)) and since < SOON_S


@dataclass(slots=True)
class Judgement:
    """The hits of one lead, in fold order. `trail` are those that later ones may still change; `unpaid` the activities
    that were found to be a machine's; `taken_back` whether one of them had been judged before and is new there.
    """

    trail: list[Hit] = field(default_factory=list)
    unpaid: dict[Key, Verdict] = field(default_factory=dict)
    taken_back: bool = False

    def add(self, activities: Iterable[Activity], *, late: bool = False) -> None:
        """Judge further activities, later in fold order than those before; `late` ones may be earlier."""
        known = len(self.trail)
        for activity in activities:
            said = activity.properties
            # Nearly all that comes shows no sign and needs no more than this look.
            if activity.signals is None:
                if activity.type not in LOOKED_AT:
                    continue
                if activity.type in SEEN and "bot_signals" not in said and "ip_network" not in said:
                    continue
            if activity.signals is not None or "bot_signals" in said:
                verdict = alone(activity)
                if verdict is not None and verdict.word == "scan":
                    self.unpaid[activity.source, activity.id] = verdict
            if (hit := _hit(activity)) is not None:
                self.trail.append(hit)
        if len(self.trail) == known:
            return
        if late:
            self.trail.sort(key=lambda hit: (hit.at, hit.id, hit.source))
        before = [bool(hit.reasons) for hit in self.trail[:known]]
        _note_bursts(self.trail)
        self.taken_back = any(bool(hit.reasons) != was for hit, was in zip(self.trail, before, strict=False))
        for hit in self.trail:
            # To unsubscribe always counts, whoever followed the link.
            if hit.reasons and (hit.link or not hit.unsubscribes):
                self.unpaid.setdefault(hit.key, Verdict("suspected", tuple(sorted(hit.reasons))))
        oldest = self.trail[-1].at - NETWORKS_WITHIN
        self.trail = [hit for hit in self.trail if hit.at >= oldest]

    def verdict_of(self, activity: Activity) -> str | None:
        """As the fold asks."""
        found = self.unpaid.get((activity.source, activity.id))
        return found.word if found else None


def judge(activities: Iterable[Activity], before: Sequence[Hit] = ()) -> Judgement:
    """Judge all activities of a lead, in fold order; `before` are earlier hits whose activities were removed."""
    judgement = Judgement(list(before))
    judgement.add(activities, late=bool(before))
    if before:  # what they earned stands, whatever is found out about them now
        judgement.taken_back = False
        for hit in before:
            judgement.unpaid.pop(hit.key, None)
        oldest = judgement.trail[-1].at - NETWORKS_WITHIN
        judgement.trail = [hit for hit in judgement.trail if hit.at >= oldest]
    return judgement


def hits_of(activities: Iterable[Activity], before: Sequence[Hit] = ()) -> list[Hit]:
    """All hits among activities, and those `before` them, with the reasons that come of their being together."""
    hits = [*before, *filter(None, map(_hit, activities))]
    hits.sort(key=lambda hit: (hit.at, hit.id, hit.source))
    _note_bursts(hits)
    return hits


def _hit(activity: Activity) -> Hit | None:
    if activity.type not in HITS and activity.type != "email_unsubscribed":
        return None
    signals, properties = activity.signals or {}, activity.properties
    link = _text(properties.get("link")) or _text(signals.get("link"))
    # What a tool reports and what ingest has hashed cannot be compared.
    network = _text(signals.get("network")) or (f"ip:{ip}" if (ip := _text(properties.get("ip_network"))) else "")
    clicked = activity.type == "email_clicked"
    unsubscribes = activity.type == "email_unsubscribed" or (clicked and "unsubscribe" in link.casefold())
    if not (network or unsubscribes or (clicked and link)):
        return None
    mail = _text(properties.get("email_id"))
    at = to_micros(activity.occurred_at)
    return Hit(at, activity.source, activity.id, mail, link if clicked else "", network, unsubscribes)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _note_bursts(hits: Sequence[Hit]) -> None:
    by_mail: dict[str, list[tuple[Hit, str]]] = defaultdict(list)
    by_kind: dict[bool, list[tuple[Hit, str]]] = defaultdict(list)
    words: dict[str, list[tuple[Hit, str]]] = defaultdict(list)
    for hit in hits:
        if hit.link:
            by_mail[hit.mail].append((hit, hit.link))
        if hit.network:
            by_kind[hit.network.startswith("ip:")].append((hit, hit.network))
        if hit.unsubscribes or hit.link:
            words[hit.mail].append((hit, "unsubscribes" if hit.unsubscribes else "content"))
    for one in by_mail.values():
        _note(one, LINKS, LINKS_WITHIN, "links")
    for one in by_kind.values():
        _note(one, NETWORKS, NETWORKS_WITHIN, "networks")
    # A report of unsubscribing often does not say from which mail.
    unnamed = words.pop("", [])
    for one in words.values() if words else [[]]:
        both = sorted([*one, *unnamed], key=lambda pair: (pair[0].at, pair[0].id, pair[0].source))
        _note(both, 2, UNSUBSCRIBED_WITHIN, "unsubscribed")


def _note(values: Sequence[tuple[Hit, str]], least: int, within: int, reason: str) -> None:
    """Note `reason` on all hits of every stretch, not longer than `within`, that holds `least` different values."""
    if len({value for _, value in values}) < least:
        return
    inside: Counter[str] = Counter()
    first = noted = 0
    for last, (hit, value) in enumerate(values):
        inside[value] += 1
        while values[first][0].at < hit.at - within:
            gone = values[first][1]
            inside[gone] -= 1
            if not inside[gone]:
                del inside[gone]
            first += 1
        if len(inside) >= least:
            for one, _ in values[max(first, noted) : last + 1]:
                one.reasons.add(reason)
            noted = last + 1
