"""Entries of leads beside their activities: points given by hand, recyclings."""

from alembic import op

revision = "2026_11_26_entries"
down_revision = "2026_11_26_model_versions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE scoring.entry (
            kind TEXT COLLATE "C" NOT NULL,
            id TEXT COLLATE "C" NOT NULL,
            lead_id UUID,
            anchor UUID NOT NULL,
            at TIMESTAMPTZ NOT NULL,
            body JSONB NOT NULL,
            recorded_at TIMESTAMPTZ NOT NULL DEFAULT now(),
            CONSTRAINT entry_pkey PRIMARY KEY (kind, id)
        )
        """
    )
    op.execute("CREATE INDEX entry_lead_id_idx ON scoring.entry (lead_id)")
    op.execute("CREATE INDEX entry_waiting_idx ON scoring.entry (anchor) WHERE lead_id IS NULL")
    # The timer has so far known of activities dated ahead alone: let it look at everybody once.
    op.execute(
        "INSERT INTO scoring.due (lead_id, at) SELECT id, now() FROM scoring.lead"
        " WHERE merged_into IS NULL AND state <> '' ON CONFLICT DO NOTHING"
    )


def downgrade() -> None:
    op.execute("DROP TABLE scoring.entry")
