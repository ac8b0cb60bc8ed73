"""The tables of schema `handoff`."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
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
    Column("ended", Text),
    Column("hot", Boolean, nullable=False, server_default=text("false")),
    Column("noted_at", DateTime(timezone=True)),
    Column("settling_since", DateTime(timezone=True)),
    Column("settle_due", DateTime(timezone=True)),
    Column("triggers", LargeBinary),
    Column("cooling_due", DateTime(timezone=True)),
    Column("cooling_told", DateTime(timezone=True)),
    postgresql_with={"fillfactor": "70"},
)
Index("crossing_cooling_due_idx", crossing.c.cooling_due, postgresql_where=text("cooling_due IS NOT NULL"))
Index("crossing_settle_due_idx", crossing.c.settle_due, postgresql_where=text("settle_due IS NOT NULL"))
Index("crossing_rule_previous_idx", crossing.c.rule, crossing.c.previous)

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
    Column("decide_by", DateTime(timezone=True)),
    Column("due_at", DateTime(timezone=True)),
    Column("breaches", Integer, nullable=False, server_default=text("0")),
    Column("assign_at", DateTime(timezone=True)),
    Column("routing", Text),
    Column("extraction", Text),
    Column("rests_until", DateTime(timezone=True)),
    Column("rules_version", Integer, nullable=False, server_default=text("0")),
    Column("score", Integer),
    Column("source", Text),
    Column("campaign", Text),
)
Index("handoff_lead_id_rule_cycle_key", handoff.c.lead_id, handoff.c.rule, handoff.c.cycle, unique=True)
Index("handoff_close_at_idx", handoff.c.close_at, postgresql_where=text("state IN ('qualified', 'assigned')"))
Index("handoff_handed_over_at_idx", handoff.c.handed_over_at)
Index("handoff_crossed_at_id_idx", handoff.c.crossed_at, handoff.c.id)
Index("handoff_queue_state_crossed_at_id_idx", handoff.c.queue, handoff.c.state, handoff.c.crossed_at, handoff.c.id)
Index("handoff_due_at_idx", handoff.c.due_at, postgresql_where=text("due_at IS NOT NULL"))
Index("handoff_assign_at_idx", handoff.c.assign_at, postgresql_where=text("assign_at IS NOT NULL"))
Index(
    "handoff_rule_crossed_at_id_idx",
    handoff.c.rule,
    handoff.c.crossed_at,
    handoff.c.id,
    postgresql_where=text("handed_over_at IS NULL AND state = 'qualified'"),
)

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
    Column("event", Text, nullable=False, server_default=text("'step'")),
    Column("owner", Text),
)

workload = Table(
    "workload",
    metadata,
    Column("queue", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("taken", Integer, nullable=False),
)

rules_version = Table(
    "rules_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),
    Column("loaded_at", DateTime(timezone=True), nullable=False),
)

schedule_mark = Table(
    "schedule_mark",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("checked_until", DateTime(timezone=True), nullable=False),
    Column("recurring", Text),
    Column("timetable", Text, primary_key=True, server_default=text("''")),
    Column("gone_at", DateTime(timezone=True)),
)

extraction = Table(
    "extraction",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("count", Integer, nullable=False, server_default=text("0")),
    Column("lapsed", Integer, nullable=False, server_default=text("0")),
    Column("place", Text(collation="C")),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("completed_at", DateTime(timezone=True)),
)
Index("extraction_rule_kind_key_key", extraction.c.rule, extraction.c.kind, extraction.c.key, unique=True)
Index("extraction_at_id_idx", extraction.c.at, extraction.c.id)
Index("extraction_running_idx", extraction.c.at, postgresql_where=text("state = 'running'"))

extraction_row = Table(
    "extraction_row",
    metadata,
    Column("extraction_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("lead_id", Text(collation="C"), nullable=False),
    Column("cells", LargeBinary, nullable=False),
)
Index("extraction_row_lead_id_idx", extraction_row.c.lead_id)

account = Table(
    "account",
    metadata,
    Column("id", Text(collation="C"), primary_key=True),
    Column("version", BigInteger, nullable=False, server_default=text("0")),
    Column("state", LargeBinary),
    Column("rules", LargeBinary),
    postgresql_with={"fillfactor": "70"},
)

delivery_tables(metadata)
offsets_table(metadata)
outbox_tables(metadata)
