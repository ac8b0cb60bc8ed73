"""The bodies that the API answers with."""

from datetime import datetime
from typing import Any

from services.scoring.core.next_change import next_change_at
from services.scoring.core.profile import first_at, instant_out, last_at
from services.scoring.reading import StoredActivity, StoredLead
from shared.clock import to_rfc3339


def lead_out(stored: StoredLead, at: datetime, *, reasons: bool) -> dict[str, Any]:
    """A lead under the primary model, evaluated at `at`; lists leave the reasons out."""
    model, profile = stored.models.primary, stored.state.profile
    state = stored.state.folds[model.name][1]
    instant = stored.state.instant(at)
    answer = {
        "id": stored.id,
        "identifiers": profile.identifiers_out(),
        "attributes": profile.attributes,
        **stored.state.evaluation(model, instant).to_json(),
        "version": stored.version,
        "model": {"name": model.name, "version": model.version},
        "first_activity_at": instant_out(first_at(profile)),
        "last_activity_at": instant_out(last_at(profile)),
        "next_change_at": instant_out(next_change_at(model.compiled, state, instant, stored.state.manual)),
    }
    if not reasons:
        del answer["reasons"]
    return answer


def activity_out(stored: StoredActivity) -> dict[str, Any]:
    """A stored activity as posted, with when it was received and recorded."""
    return {**stored.body, "recorded_at": to_rfc3339(stored.recorded_at)}


def cursor_of(stored: StoredActivity) -> tuple[str, str, str]:
    """Where an activity stands in the list."""
    return to_rfc3339(stored.occurred_at), stored.id, stored.source
