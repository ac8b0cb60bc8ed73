"""The first schema: activities, identifiers, leads, models, positions, outbox."""

from alembic import op

revision = "2026_11_24_first_schema"
down_revision = None
branch_labels = None
depends_on = None

KEY_PARTITIONS = 8

TABLES = (
    """
    CREATE TABLE scoring.lead (
        id UUID CONSTRAINT lead_pkey PRIMARY KEY,
        merged_into UUID,
        epoch INTEGER NOT NULL DEFAULT 0,
        version BIGINT NOT NULL DEFAULT 0,
        has_email BOOLEAN NOT NULL DEFAULT false,
        score DOUBLE PRECISION,
        search TEXT COLLATE "C" NOT NULL DEFAULT '',
        state BYTEA NOT NULL,
        recorded_at TIMESTAMPTZ NOT NULL DEFAULT now()
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE scoring.identifier (
        kind TEXT COLLATE "C" NOT NULL,
        value TEXT COLLATE "C" NOT NULL,
        lead_id UUID NOT NULL,
        since_at TIMESTAMPTZ,
        since_id TEXT COLLATE "C",
        since_source TEXT COLLATE "C",
        recorded_at TIMESTAMPTZ NOT NULL DEFAULT now(),
        CONSTRAINT identifier_pkey PRIMARY KEY (kind, value)
    )
    """,
    "CREATE INDEX identifier_lead_id_idx ON scoring.identifier (lead_id)",
    """
    CREATE TABLE scoring.activity_key (
        source TEXT COLLATE "C" NOT NULL,
        id TEXT COLLATE "C" NOT NULL,
        fingerprint BYTEA NOT NULL,
        CONSTRAINT activity_key_pkey PRIMARY KEY (source, id)
    ) PARTITION BY HASH (source, id)
    """,
    """
    CREATE TABLE scoring.activity (
        lead_id UUID NOT NULL,
        occurred_at TIMESTAMPTZ NOT NULL,
        recorded_at TIMESTAMPTZ NOT NULL,
        source TEXT COLLATE "C" NOT NULL,
        id TEXT COLLATE "C" NOT NULL,
        type TEXT COLLATE "C" NOT NULL,
        body JSONB NOT NULL
    ) PARTITION BY RANGE (recorded_at)
    """,
    "CREATE INDEX activity_lead_id_occurred_at_idx ON scoring.activity (lead_id, occurred_at)",
    "CREATE TABLE scoring.activity_other PARTITION OF scoring.activity DEFAULT",
    "CREATE TABLE scoring.due (lead_id UUID CONSTRAINT due_pkey PRIMARY KEY, at TIMESTAMPTZ NOT NULL)",
    "CREATE INDEX due_at_idx ON scoring.due (at)",
    """
    CREATE TABLE scoring.lead_merge (
        seq BIGSERIAL CONSTRAINT lead_merge_pkey PRIMARY KEY,
        merged_id UUID NOT NULL,
        survivor_id UUID NOT NULL,
        recorded_at TIMESTAMPTZ NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX lead_merge_merged_id_idx ON scoring.lead_merge (merged_id)",
    """
    CREATE TABLE scoring.model_version (
        name TEXT NOT NULL,
        version INTEGER NOT NULL,
        digest TEXT NOT NULL,
        body JSONB NOT NULL,
        origin TEXT NOT NULL,
        published_at TIMESTAMPTZ NOT NULL DEFAULT now(),
        CONSTRAINT model_version_pkey PRIMARY KEY (name, version)
    )
    """,
    """
    CREATE TABLE scoring.consumer_offset (
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        next_offset BIGINT NOT NULL,
        cluster_id TEXT NOT NULL,
        moved_at TIMESTAMPTZ NOT NULL DEFAULT now(),
        CONSTRAINT consumer_offset_pkey PRIMARY KEY (topic, partition)
    )
    """,
    """
    CREATE TABLE scoring.outbox (
        id BIGINT GENERATED ALWAYS AS IDENTITY CONSTRAINT outbox_pkey PRIMARY KEY,
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        key BYTEA,
        value BYTEA,
        headers BYTEA NOT NULL,
        created_at TIMESTAMPTZ NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE scoring.relay (
        shard INTEGER CONSTRAINT relay_pkey PRIMARY KEY,
        cluster_id TEXT NOT NULL,
        producer_id BIGINT NOT NULL,
        producer_epoch INTEGER NOT NULL,
        sequences BYTEA NOT NULL,
        round BIGINT[] NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    for part in range(KEY_PARTITIONS):
        op.execute(
            f"CREATE TABLE scoring.activity_key_{part} PARTITION OF scoring.activity_key"
            f" FOR VALUES WITH (MODULUS {KEY_PARTITIONS}, REMAINDER {part})"
        )


def downgrade() -> None:
    for table in (
        "lead identifier activity_key activity due lead_merge model_version consumer_offset outbox relay"
    ).split():
        op.execute(f"DROP TABLE scoring.{table}")
