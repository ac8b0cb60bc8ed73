"""Every topic once: its name, who writes it, how long it is kept."""

from dataclasses import dataclass

_DAY_MS = 86_400_000
MAX_MESSAGE_BYTES = 8_388_608
"""What a topic takes at once. Records are held far below Kafka's own mebibyte wherever their size can be told ahead; a
larger one must not stop all that come after it.
"""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as the stack creates it. `retention_days` is how long records stay; of a compacted topic the time in
    which no record of a key is removed, so that a reader who is that late still sees every state.
    """

    name: str
    written_by: tuple[str, ...]
    retention_days: int
    compacted: bool = False

    @property
    def config(self) -> dict[str, str]:
        """Kafka's settings of this topic."""
        keep = str(self.retention_days * _DAY_MS)
        common = {"min.insync.replicas": "1", "message.timestamp.type": "CreateTime"}
        common["max.message.bytes"] = str(MAX_MESSAGE_BYTES)
        if self.compacted:
            return {**common, "cleanup.policy": "compact", "min.compaction.lag.ms": keep, "delete.retention.ms": keep}
        return {**common, "cleanup.policy": "delete", "retention.ms": keep}


LEAD_ACTIVITIES = Topic("lead-activities", ("ingest",), 30)
LEAD_SCORES = Topic("lead-scores", ("scoring",), 7, compacted=True)
SHADOW_SCORES = Topic("shadow-scores", ("scoring",), 30)
ACCOUNT_SCORES = Topic("account-scores", ("scoring",), 7, compacted=True)
QUALIFIED_LEADS = Topic("qualified-leads", ("handoff",), 365)
QUALIFIED_ACCOUNTS = Topic("qualified-accounts", ("handoff",), 365)
HANDOFF_OUTCOMES = Topic("handoff-outcomes", ("handoff",), 365)
HANDOFF_ANSWERS = Topic("handoff-answers", ("sales systems",), 30)
LEAD_LIFECYCLE = Topic("lead-lifecycle", ("scoring", "handoff"), 365)
REJECTED_WEBHOOKS = Topic("rejected-webhooks", ("ingest",), 30)

CONSUMED = (LEAD_ACTIVITIES, LEAD_SCORES, ACCOUNT_SCORES, HANDOFF_ANSWERS, HANDOFF_OUTCOMES)
"""Topics that one of our services reads, and that therefore have a dead-letter topic."""


def dead_letter_topic(name: str) -> str:
    """Where the records of topic `name` go that can never be processed."""
    return f"{name}-dlq"


DEAD_LETTERS = tuple(Topic(dead_letter_topic(topic.name), ("scoring", "handoff"), 30) for topic in CONSUMED)
ALL = (
    LEAD_ACTIVITIES,
    LEAD_SCORES,
    SHADOW_SCORES,
    ACCOUNT_SCORES,
    QUALIFIED_LEADS,
    QUALIFIED_ACCOUNTS,
    HANDOFF_OUTCOMES,
    HANDOFF_ANSWERS,
    LEAD_LIFECYCLE,
    REJECTED_WEBHOOKS,
    *DEAD_LETTERS,
)
