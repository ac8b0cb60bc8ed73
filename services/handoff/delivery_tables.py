"""The tables of destinations, deliveries and attempts, in schema `handoff`."""

from sqlalchemy import (
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB


def delivery_tables(metadata: MetaData) -> None:
    """Add them to the schema's tables.

    A delivery's `due_at` is when it may be taken: the next attempt, or, while a sender has it in hand (`claim`), when
    that sender's lease ends. `tries` counts the attempts of the schedule it is on, `attempts` all of them. `secrets`
    are encrypted.
    """
    Table(
        "destination",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("name", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("spec", JSONB, nullable=False),
        Column("secrets", LargeBinary, nullable=False),
        Column("state", Text, nullable=False),
        Column("reason", Text),
        Column("failing_since", DateTime(timezone=True)),
        Column("disabled_at", DateTime(timezone=True)),
        Column("revision", Integer, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("updated_at", DateTime(timezone=True), nullable=False),
    )
    destination = metadata.tables["handoff.destination"]
    Index("destination_name_key", destination.c.name, unique=True)
    _deliveries(metadata)
    _attempts(metadata)


def _deliveries(metadata: MetaData) -> None:
    delivery = Table(
        "delivery",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column(
            "destination_id",
            Uuid,
            ForeignKey("handoff.destination.id", ondelete="CASCADE", name="delivery_destination_id_fkey"),
            nullable=False,
        ),
        Column("event_id", Text, nullable=False),
        Column("event_type", Text, nullable=False),
        Column("event_time", Text, nullable=False),
        Column("lead_id", Text(collation="C"), nullable=False),
        Column("extraction", Text(collation="C")),
        Column("value", LargeBinary, nullable=False),
        Column("state", Text, nullable=False),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("tries", Integer, nullable=False, server_default=text("0")),
        Column("due_at", DateTime(timezone=True), nullable=False),
        Column("claim", Uuid),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("finished_at", DateTime(timezone=True)),
        postgresql_with={"fillfactor": "70"},
    )
    waiting, of_run = text("state = 'waiting'"), text("extraction IS NOT NULL")
    Index("delivery_destination_id_due_at_idx", delivery.c.destination_id, delivery.c.due_at, postgresql_where=waiting)
    Index(
        "delivery_destination_id_extraction_id_idx",
        delivery.c.destination_id,
        delivery.c.extraction,
        delivery.c.id,
        postgresql_where=of_run,
    )
    Index("delivery_destination_id_idx", delivery.c.destination_id)
    Index("delivery_lead_id_idx", delivery.c.lead_id)
    Index("delivery_created_at_idx", delivery.c.created_at)


def _attempts(metadata: MetaData) -> None:
    attempt = Table(
        "attempt",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column(
            "delivery_id",
            Uuid,
            ForeignKey("handoff.delivery.id", ondelete="CASCADE", name="attempt_delivery_id_fkey"),
            nullable=False,
        ),
        Column("destination_id", Uuid, nullable=False),
        Column("number", Integer, nullable=False),
        Column("at", DateTime(timezone=True), nullable=False),
        Column("took_ms", Integer, nullable=False),
        Column("outcome", Text, nullable=False),
        Column("problem", Text),
        Column("request", JSONB, nullable=False),
        Column("response", JSONB),
    )
    Index("attempt_delivery_id_idx", attempt.c.delivery_id)
    Index("attempt_destination_id_at_id_idx", attempt.c.destination_id, attempt.c.at, attempt.c.id)
