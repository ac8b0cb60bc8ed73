"""Accounts ask again for leads that were merged: a look of the timer had told them that these belong to none."""

from alembic import op

revision = "2026_11_28_second_contacts"
down_revision = "2026_11_28_identity_secret"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "INSERT INTO scoring.account_todo (lead_id)"
        " SELECT id FROM scoring.lead WHERE epoch > 0 AND merged_into IS NULL AND state <> ''"
    )


def downgrade() -> None:
    """What was asked is answered already."""
