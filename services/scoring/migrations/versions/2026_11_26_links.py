"""Leads joined and taken apart by hand."""

from alembic import op

revision = "2026_11_26_links"
down_revision = "2026_11_26_entries"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE scoring.link (
            seq BIGINT GENERATED ALWAYS AS IDENTITY CONSTRAINT link_pkey PRIMARY KEY,
            kind TEXT NOT NULL,
            survivor UUID NOT NULL,
            other UUID NOT NULL,
            author TEXT NOT NULL,
            recorded_at TIMESTAMPTZ NOT NULL DEFAULT now()
        )
        """
    )
    op.execute("CREATE INDEX link_survivor_idx ON scoring.link (survivor)")
    op.execute("CREATE INDEX link_other_idx ON scoring.link (other)")


def downgrade() -> None:
    op.execute("DROP TABLE scoring.link")
