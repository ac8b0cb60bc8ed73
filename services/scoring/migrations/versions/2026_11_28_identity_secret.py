"""Which identity secret the lead ids were made with, as a keyed digest: the first start notes it."""

from alembic import op

revision = "2026_11_28_identity_secret"
down_revision = "2026_11_27_whole_bodies"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE scoring.identity_secret (
            one BOOLEAN DEFAULT true CONSTRAINT identity_secret_pkey PRIMARY KEY CHECK (one),
            digest BYTEA NOT NULL,
            noted_at TIMESTAMPTZ NOT NULL DEFAULT now()
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE scoring.identity_secret")
