"""Those that wait for a run are found without looking at all that were ever handed over."""

from alembic import op

revision = "2026_11_26_fourth_waiting"
down_revision = "2026_11_26_third_cooling"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Few rows are in it at any time."""
    op.execute(
        "CREATE INDEX handoff_rule_crossed_at_id_idx ON handoff.handoff (rule, crossed_at, id)"
        " WHERE state = 'qualified' AND handed_over_at IS NULL"
    )


def downgrade() -> None:
    """Runs become slower."""
    op.execute("DROP INDEX handoff.handoff_rule_crossed_at_id_idx")
