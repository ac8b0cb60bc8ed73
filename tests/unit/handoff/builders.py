"""Published states and rules for the tests of handoff."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from services.handoff.core.rules import Rule, load_rules
from services.handoff.core.state import LeadState, parse_state
from shared.clock import to_rfc3339

START = datetime(2026, 11, 1, tzinfo=UTC)
LEAD = "00000000-0000-8000-a000-000000000001"


def day(number: float) -> datetime:
    """So many days after START."""
    return START + timedelta(days=number)


def body(score: float | None, at: float = 0, **more: Any) -> dict[str, Any]:
    """The data of a lead.score-changed.v1 event, `at` days after START; bands and model data by name."""
    model = {
        "version": 3,
        "score": score,
        "engagement": score,
        "fit": None if score is None else 0.0,
        "grade": more.pop("grade", "D"),
        "level": more.pop("level", "3"),
        "cell": "D3",
        "stage": more.pop("stage", None),
        "coverage": more.pop("coverage", 0.5),
        "reasons": [{"rule": "seminar-attended", "points": score, "count": 1}] if score else [],
    }
    return {
        "lead_id": LEAD,
        "version": 1,
        "cause": "activity",
        "merged_from": [],
        "identifiers": {"email": "taro@example.co.jp"},
        "attributes": {"company": "株式会社サンプル"},
        "primary": "test",
        "models": {"test": model},
        "signals": [],
        "recent_activities": [],
        "evaluated_at": to_rfc3339(day(at)),
        **more,
    }


def state(score: float | None, at: float = 0, **more: Any) -> LeadState:
    """As `body`, parsed."""
    return parse_state(orjson.dumps(body(score, at, **more)))


def rule(more: str = "", *, name: str = "hot", enter: float = 50, leave: float | None = 45) -> Rule:
    """The rule of the worked example; `more` is YAML for inside its braces, `leave` None the default."""
    parts = [f"id: {name}, enter: {enter}, to: desk, when: immediately"]
    parts += [f"leave: {leave}"] if leave is not None else []
    parts += [more] if more else []
    return load_rules(f"queues: {{desk: {{}}}}\nrules:\n  - {{{', '.join(parts)}}}\n").rules()[0]
