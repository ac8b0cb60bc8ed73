"""Where a qualified lead came from, for those who measure what sources and campaigns bring."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

MAX_CHARACTERS = 200


class Origin(NamedTuple):
    """The source of the activity that counts, and its campaign; None where nothing is known."""

    source: str | None
    campaign: str | None


def origin_of(recent: Sequence[Mapping[str, Any]]) -> Origin:
    """The last touch: the latest of the recent activities (newest first) that names a campaign, else the latest one."""
    for activity in recent:
        campaign = _campaign(activity)
        if campaign is not None:
            return Origin(_text(activity.get("source")), campaign)
    return Origin(_text(recent[0].get("source")) if recent else None, None)


def _campaign(activity: Mapping[str, Any]) -> str | None:
    properties = activity.get("properties")
    return _text(properties.get("campaign")) if isinstance(properties, Mapping) else None


def _text(value: Any) -> str | None:
    return value[:MAX_CHARACTERS] if isinstance(value, str) and value else None
