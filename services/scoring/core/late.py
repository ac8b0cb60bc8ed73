"""Activities that come late: they count from now on, but too many later ones stand before them in the list of recent
ones for anybody who reads that to notice.
"""

from collections.abc import Collection, Sequence
from typing import Any

import orjson

from services.scoring.core.fold import UNPAID
from services.scoring.core.profile import RECENT, Profile
from services.scoring.core.verdicts import Key
from shared.activity import Activity
from shared.clock import from_rfc3339, to_rfc3339

MOST = 100


def late_ones(profile: Profile, fresh: Sequence[Activity], unpaid: Collection[Key]) -> list[Activity]:
    """Of the activities `fresh`, which `profile` has folded, those that its recent ones do not show: the newest first.

    What a machine did is not among them, as it counts for nothing.
    """
    # Nearly every lead is done here.
    if profile.count <= RECENT or not fresh or profile.latest.count(b"\n") + 1 < RECENT:
        return []
    oldest = orjson.loads(profile.latest[profile.latest.rfind(b"\n") + 1 :])
    shown_from = (from_rfc3339(oldest["occurred_at"]), oldest["id"], oldest["source"])
    found = [
        one
        for one in fresh
        if one.order < shown_from and UNPAID.isdisjoint(one.flags) and (one.source, one.id) not in unpaid
    ]
    return sorted(found, key=lambda one: one.order, reverse=True)[:MOST]


def late_out(late: Sequence[Activity]) -> list[dict[str, Any]]:
    """As events show them: as recent ones, without properties, since there may be many."""
    return [
        {"id": one.id, "source": one.source, "type": one.type, "occurred_at": to_rfc3339(one.occurred_at)}
        for one in late
    ]
