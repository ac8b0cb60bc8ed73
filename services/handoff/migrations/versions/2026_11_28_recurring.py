"""Which times a rule's runs were looked for: of others it has none that were missed."""

from alembic import op

revision = "2026_11_28_recurring"
down_revision = "2026_11_26_third_cooling"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Marks of before are taken for those of the times that are named now."""
    op.execute("ALTER TABLE handoff.schedule_mark ADD COLUMN recurring TEXT")


def downgrade() -> None:
    """Marks stay."""
    op.execute("ALTER TABLE handoff.schedule_mark DROP COLUMN recurring")
