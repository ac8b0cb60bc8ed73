"""Positions carry the id of their topic: one that was made again under the same name is another."""

from alembic import op

revision = "2026_11_24_second_topic_ids"
down_revision = "2026_11_24_first_schema"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE scoring.consumer_offset ADD COLUMN topic_id TEXT NOT NULL DEFAULT ''")


def downgrade() -> None:
    op.execute("ALTER TABLE scoring.consumer_offset DROP COLUMN topic_id")
