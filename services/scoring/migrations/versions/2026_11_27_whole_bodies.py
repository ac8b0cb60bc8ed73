"""Activities as the text they came as: whoever folds reads them whole. Rewrites the table."""

from alembic import op

revision = "2026_11_27_whole_bodies"
down_revision = "2026_11_27_retention"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE scoring.activity ALTER COLUMN body TYPE json USING body::text::json")


def downgrade() -> None:
    op.execute("ALTER TABLE scoring.activity ALTER COLUMN body TYPE jsonb USING body::text::jsonb")
