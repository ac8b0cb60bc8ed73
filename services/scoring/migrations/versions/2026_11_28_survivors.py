"""When an identifier came to a lead last: what happened before that can still change which of its leads survived.

Of leads that are stored already nobody knows it; whatever comes for one has it resolved again, once.
"""

from alembic import op

revision = "2026_11_28_survivors"
down_revision = "2026_11_28_second_contacts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A default that existing rows have without being written.
    op.execute("ALTER TABLE scoring.lead ADD COLUMN joined_at timestamptz DEFAULT '9999-12-31T00:00:00Z'")
    op.execute("ALTER TABLE scoring.lead ALTER COLUMN joined_at DROP DEFAULT")


def downgrade() -> None:
    op.execute("ALTER TABLE scoring.lead DROP COLUMN joined_at")
