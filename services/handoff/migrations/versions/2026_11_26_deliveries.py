"""Destinations, the deliveries to them, and every attempt at one."""

from alembic import op

revision = "2026_11_26_deliveries"
down_revision = "2026_11_26_second_accounts"
branch_labels = None
depends_on = None

UP = (
    """
    CREATE TABLE handoff.destination (
        id UUID CONSTRAINT destination_pkey PRIMARY KEY,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        spec JSONB NOT NULL,
        secrets BYTEA NOT NULL,
        state TEXT NOT NULL,
        reason TEXT,
        failing_since TIMESTAMPTZ,
        disabled_at TIMESTAMPTZ,
        revision INTEGER NOT NULL,
        created_at TIMESTAMPTZ NOT NULL,
        updated_at TIMESTAMPTZ NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX destination_name_key ON handoff.destination (name)",
    """
    CREATE TABLE handoff.delivery (
        id UUID CONSTRAINT delivery_pkey PRIMARY KEY,
        destination_id UUID NOT NULL
            CONSTRAINT delivery_destination_id_fkey REFERENCES handoff.destination (id) ON DELETE CASCADE,
        event_id TEXT NOT NULL,
        event_type TEXT NOT NULL,
        event_time TEXT NOT NULL,
        lead_id TEXT COLLATE "C" NOT NULL,
        extraction TEXT COLLATE "C",
        value BYTEA NOT NULL,
        state TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        tries INTEGER NOT NULL DEFAULT 0,
        due_at TIMESTAMPTZ NOT NULL,
        claim UUID,
        created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
        finished_at TIMESTAMPTZ
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE INDEX delivery_destination_id_due_at_idx ON handoff.delivery (destination_id, due_at)
        WHERE state = 'waiting'
    """,
    """
    CREATE INDEX delivery_destination_id_extraction_id_idx ON handoff.delivery (destination_id, extraction, id)
        WHERE extraction IS NOT NULL
    """,
    "CREATE INDEX delivery_destination_id_idx ON handoff.delivery (destination_id)",
    "CREATE INDEX delivery_lead_id_idx ON handoff.delivery (lead_id)",
    "CREATE INDEX delivery_created_at_idx ON handoff.delivery (created_at)",
    """
    CREATE TABLE handoff.attempt (
        id UUID CONSTRAINT attempt_pkey PRIMARY KEY,
        delivery_id UUID NOT NULL
            CONSTRAINT attempt_delivery_id_fkey REFERENCES handoff.delivery (id) ON DELETE CASCADE,
        destination_id UUID NOT NULL,
        number INTEGER NOT NULL,
        at TIMESTAMPTZ NOT NULL,
        took_ms INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        problem TEXT,
        request JSONB NOT NULL,
        response JSONB
    )
    """,
    "CREATE INDEX attempt_delivery_id_idx ON handoff.attempt (delivery_id)",
    "CREATE INDEX attempt_destination_id_at_id_idx ON handoff.attempt (destination_id, at, id)",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for table in ("attempt", "delivery", "destination"):
        op.execute(f"DROP TABLE handoff.{table}")
