"""The tables of schema `handoff`."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
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

from services.handoff.delivery_tables import delivery_tables
from shared.offsets import offsets_table
from shared.outbox import outbox_tables

SCHEMA = "handoff"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
    },
)

installation = Table(
    "installation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("installed_at", DateTime(timezone=True), nullable=False),
)

first_start = Table(
    "first_start",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("end_offset", BigInteger, nullable=False),
)

lead = Table(
    "lead",
    metadata,
    Column("id", Text(collation="C"), primary_key=True),
    Column("version", BigInteger, nullable=False, server_default=text("0")),
    Column("merged_into", Text(collation="C")),
    Column("state", LargeBinary),
    postgresql_with={"fillfactor": "70"},
)

crossing = Table(
    "crossing",
    metadata,
    Column("lead_id", Text(collation="C"), primary_key=True),
    Column("rule", Text(collation="C"), primary_key=True),
    Column("armed", Boolean, nullable=False),
    Column("previous", Integer),
    Column("cycle", Integer, nullable=False),
    Column("crossed_at", DateTime(timezone=True)),
    Column("open_handoff", Uuid),
    Column("version", BigInteger, nullable=False, server_default=text("0")),
    postgresql_with={"fillfactor": "70"},
)

handoff = Table(
    "handoff",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("lead_id", Text(collation="C"), nullable=False),
    Column("rule", Text(collation="C"), nullable=False),
    Column("cycle", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("owner", Text),
    Column("mode", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("model_version", Integer, nullable=False),
    Column("crossed_at", DateTime(timezone=True), nullable=False),
    Column("handed_over_at", DateTime(timezone=True)),
    Column("respond_by", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("close_at", DateTime(timezone=True), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
Index("handoff_lead_id_rule_cycle_key", handoff.c.lead_id, handoff.c.rule, handoff.c.cycle, unique=True)
Index("handoff_close_at_idx", handoff.c.close_at, postgresql_where=text("state IN ('qualified', 'assigned')"))
Index("handoff_crossed_at_id_idx", handoff.c.crossed_at, handoff.c.id)
Index("handoff_queue_state_crossed_at_id_idx", handoff.c.queue, handoff.c.state, handoff.c.crossed_at, handoff.c.id)

history = Table(
    "history",
    metadata,
    Column("handoff_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("by", Text),
    Column("reason", Text),
    Column("until", DateTime(timezone=True)),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

delivery_tables(metadata)
offsets_table(metadata)
outbox_tables(metadata)
