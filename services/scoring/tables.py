"""The tables of schema `scoring`.

Activities and identifiers are only ever added to, but for what retention removes and opening entries then stand for.
`lead` is the current state, folded from them, and the one table that is rewritten all the time: no index stands on a
column that changes, so that its updates stay in their page.
"""

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    Identity,
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

from shared.known_secret import secret_table
from shared.offsets import offsets_table
from shared.outbox import outbox_tables

SCHEMA = "scoring"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={"pk": "%(table_name)s_pkey", "ix": "%(table_name)s_%(column_0_N_name)s_idx"},
)

lead = Table(
    "lead",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("merged_into", Uuid),
    Column("epoch", Integer, nullable=False, server_default=text("0")),
    Column("version", BigInteger, nullable=False, server_default=text("0")),
    Column("has_email", Boolean, nullable=False, server_default=text("false")),
    Column("joined_at", DateTime(timezone=True)),
    Column("score", Float(53)),
    Column("search", Text(collation="C"), nullable=False, server_default=text("''")),
    Column("state", LargeBinary, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    postgresql_with={"fillfactor": "70"},
)

identifier = Table(
    "identifier",
    metadata,
    Column("kind", Text(collation="C"), primary_key=True),
    Column("value", Text(collation="C"), primary_key=True),
    Column("lead_id", Uuid, nullable=False, index=True),
    Column("since_at", DateTime(timezone=True)),
    Column("since_id", Text(collation="C")),
    Column("since_source", Text(collation="C")),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

activity_key = Table(
    "activity_key",
    metadata,
    Column("source", Text(collation="C"), primary_key=True),
    Column("id", Text(collation="C"), primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("anchor", Uuid),
    postgresql_partition_by="HASH (source, id)",
)
Index("activity_key_anchor_idx", activity_key.c.anchor, postgresql_where=text("anchor IS NOT NULL"))

activity = Table(
    "activity",
    metadata,
    Column("lead_id", Uuid, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("source", Text(collation="C"), nullable=False),
    Column("id", Text(collation="C"), nullable=False),
    Column("type", Text(collation="C"), nullable=False),
    # Not taken apart: it is read whole by those who fold, and turning it back into text takes longer than to store it.
    Column("body", JSON, nullable=False),
    postgresql_partition_by="RANGE (recorded_at)",
)
Index("activity_lead_id_occurred_at_idx", activity.c.lead_id, activity.c.occurred_at)

due = Table(
    "due",
    metadata,
    Column("lead_id", Uuid, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False, index=True),
)

entry = Table(
    "entry",
    metadata,
    Column("kind", Text(collation="C"), primary_key=True),
    Column("id", Text(collation="C"), primary_key=True),
    Column("lead_id", Uuid, index=True),
    Column("anchor", Uuid, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("body", JSONB, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
Index("entry_waiting_idx", entry.c.anchor, postgresql_where=text("lead_id IS NULL"))

link = Table(
    "link",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("survivor", Uuid, nullable=False, index=True),
    Column("other", Uuid, nullable=False, index=True),
    Column("author", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

verdict = Table(
    "verdict",
    metadata,
    Column("source", Text(collation="C"), primary_key=True),
    Column("id", Text(collation="C"), primary_key=True),
    Column("verdict", Text, primary_key=True),
    Column("detector", Integer, primary_key=True),
    Column("reasons", ARRAY(Text), nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
)

erasure = Table(
    "erasure",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("hash", Uuid, nullable=False, index=True),
    Column("lead_id", Uuid, nullable=False),
    Column("erased_at", DateTime(timezone=True), nullable=False),
)

lead_merge = Table(
    "lead_merge",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=True),
    Column("merged_id", Uuid, nullable=False, index=True),
    Column("survivor_id", Uuid, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

account_todo = Table(
    "account_todo",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("lead_id", Uuid, nullable=False),
    Column("contact", LargeBinary),
)

account_lead = Table(
    "account_lead",
    metadata,
    Column("lead_id", Uuid, primary_key=True),
    Column("account_id", Uuid, index=True),
    Column("contact", LargeBinary, nullable=False),
    Column("seq", BigInteger, nullable=False),
)

account = Table(
    "account",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("contacts", Integer, nullable=False),
    Column("score", Float(53)),
    Column("search", Text(collation="C"), nullable=False),
    Column("state", JSONB, nullable=False),
    Column("due_at", DateTime(timezone=True), index=True),
)

model_version = Table(
    "model_version",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("body", JSONB, nullable=False),
    Column("origin", Text, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("state", Text, nullable=False, server_default=text("'published'")),
    Column("revision", Integer, nullable=False, server_default=text("1")),
    Column("note", Text),
    Column("changed_by", Text, nullable=False, server_default=text("'file'")),
)

model_publication = Table(
    "model_publication",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("version", Integer),
    Column("published_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("published_by", Text, nullable=False),
)
Index("model_publication_name_id_idx", model_publication.c.name, model_publication.c.id)

model_audit = Table(
    "model_audit",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("by", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Integer),
    Column("action", Text, nullable=False),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'")),
)

refold = Table(
    "refold",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("version", Integer),
    Column("release_per_minute", Integer),
    Column("after", Uuid, nullable=False, server_default=text("'00000000-0000-0000-0000-000000000000'")),
    Column("leads", BigInteger),
    Column("done", BigInteger, nullable=False, server_default=text("0")),
    Column("switched", BigInteger, nullable=False, server_default=text("0")),
    Column("released", BigInteger, nullable=False, server_default=text("0")),
    Column("released_at", DateTime(timezone=True)),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("folded_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
)

release = Table(
    "release",
    metadata,
    Column("lead_id", Uuid, primary_key=True),
    Column("score", Float(53), nullable=False),
)

retention = Table(
    "retention",
    metadata,
    Column("cut", DateTime(timezone=True), primary_key=True),
    Column("after", Uuid, nullable=False, server_default=text("'00000000-0000-0000-0000-000000000000'")),
    Column("leads", BigInteger, nullable=False, server_default=text("0")),
    Column("activities", BigInteger, nullable=False, server_default=text("0")),
    Column("kept", BigInteger, nullable=False, server_default=text("0")),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("finished_at", DateTime(timezone=True)),
)

secret_table(metadata)
offsets_table(metadata)
outbox_tables(metadata)
