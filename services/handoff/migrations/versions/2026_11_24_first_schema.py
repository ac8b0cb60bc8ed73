"""The first schema: crossings, handoffs and their history, positions, outbox."""

from alembic import op

revision = "2026_11_24_first_schema"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE handoff.installation (
        id INTEGER CONSTRAINT installation_pkey PRIMARY KEY,
        installed_at TIMESTAMPTZ NOT NULL
    )
    """,
    """
    CREATE TABLE handoff.lead (
        id UUID CONSTRAINT lead_pkey PRIMARY KEY,
        version BIGINT NOT NULL DEFAULT 0,
        merged_into UUID,
        scores JSONB NOT NULL DEFAULT '{}'
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE handoff.crossing (
        lead_id UUID NOT NULL,
        rule TEXT COLLATE "C" NOT NULL,
        armed BOOLEAN NOT NULL,
        previous INTEGER,
        cycle INTEGER NOT NULL,
        crossed_at TIMESTAMPTZ,
        open_handoff UUID,
        CONSTRAINT crossing_pkey PRIMARY KEY (lead_id, rule)
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE handoff.handoff (
        id UUID CONSTRAINT handoff_pkey PRIMARY KEY,
        lead_id UUID NOT NULL,
        rule TEXT COLLATE "C" NOT NULL,
        cycle INTEGER NOT NULL,
        state TEXT NOT NULL,
        queue TEXT NOT NULL,
        owner TEXT,
        mode TEXT NOT NULL,
        crossed_at TIMESTAMPTZ NOT NULL,
        handed_over_at TIMESTAMPTZ,
        respond_by TIMESTAMPTZ,
        close_at TIMESTAMPTZ NOT NULL,
        recorded_at TIMESTAMPTZ NOT NULL DEFAULT now()
    )
    """,
    "CREATE UNIQUE INDEX handoff_lead_id_rule_cycle_key ON handoff.handoff (lead_id, rule, cycle)",
    "CREATE INDEX handoff_close_at_idx ON handoff.handoff (close_at) WHERE state IN ('qualified', 'assigned')",
    """
    CREATE TABLE handoff.history (
        handoff_id UUID NOT NULL,
        number INTEGER NOT NULL,
        state TEXT NOT NULL,
        at TIMESTAMPTZ NOT NULL,
        by TEXT,
        reason TEXT,
        until TIMESTAMPTZ,
        recorded_at TIMESTAMPTZ NOT NULL DEFAULT now(),
        CONSTRAINT history_pkey PRIMARY KEY (handoff_id, number)
    )
    """,
    """
    CREATE TABLE handoff.consumer_offset (
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        next_offset BIGINT NOT NULL,
        cluster_id TEXT NOT NULL,
        moved_at TIMESTAMPTZ NOT NULL DEFAULT now(),
        CONSTRAINT consumer_offset_pkey PRIMARY KEY (topic, partition)
    )
    """,
    """
    CREATE TABLE handoff.outbox (
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
    CREATE TABLE handoff.relay (
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


def downgrade() -> None:
    for table in "installation lead crossing handoff history consumer_offset outbox relay".split():
        op.execute(f"DROP TABLE handoff.{table}")
