"""Where qualified leads came from, and their score at the hand-over; older handoffs have neither."""

from alembic import op

revision = "2026_11_26_second_origins"
down_revision = "2026_11_26_protocol"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Columns without a default: no row is rewritten."""
    op.execute("ALTER TABLE handoff.handoff ADD COLUMN score INTEGER, ADD COLUMN source TEXT, ADD COLUMN campaign TEXT")
    op.execute("CREATE INDEX handoff_handed_over_at_idx ON handoff.handoff (handed_over_at)")


def downgrade() -> None:
    """The figures are gone; handoffs stay."""
    op.execute("DROP INDEX handoff.handoff_handed_over_at_idx")
    op.execute("ALTER TABLE handoff.handoff DROP COLUMN score, DROP COLUMN source, DROP COLUMN campaign")
