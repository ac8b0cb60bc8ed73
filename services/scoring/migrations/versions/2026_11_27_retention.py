"""Removing old activities: how far each cut has come, and whose a removed activity was, so that an erasure finds it."""

from alembic import op

revision = "2026_11_27_retention"
down_revision = "2026_11_26_verdicts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE scoring.retention (
            cut TIMESTAMPTZ CONSTRAINT retention_pkey PRIMARY KEY,
            after UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
            leads BIGINT NOT NULL DEFAULT 0,
            activities BIGINT NOT NULL DEFAULT 0,
            kept BIGINT NOT NULL DEFAULT 0,
            started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
            finished_at TIMESTAMPTZ
        )
        """
    )
    op.execute("ALTER TABLE scoring.activity_key ADD COLUMN anchor UUID")
    op.execute("CREATE INDEX activity_key_anchor_idx ON scoring.activity_key (anchor) WHERE anchor IS NOT NULL")


def downgrade() -> None:
    op.execute("ALTER TABLE scoring.activity_key DROP COLUMN anchor")
    op.execute("DROP TABLE scoring.retention")
