"""When it is to be told that a lead will cool, and what was told; leads of before learn it with their next state."""

from alembic import op

revision = "2026_11_26_third_cooling"
down_revision = "2026_11_26_deliveries"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Columns without a default: no row is rewritten."""
    op.execute("ALTER TABLE handoff.crossing ADD COLUMN cooling_due TIMESTAMPTZ, ADD COLUMN cooling_told TIMESTAMPTZ")
    op.execute("CREATE INDEX crossing_cooling_due_idx ON handoff.crossing (cooling_due) WHERE cooling_due IS NOT NULL")


def downgrade() -> None:
    """Nobody is told any more; crossings stay."""
    op.execute("DROP INDEX handoff.crossing_cooling_due_idx")
    op.execute("ALTER TABLE handoff.crossing DROP COLUMN cooling_due, DROP COLUMN cooling_told")
