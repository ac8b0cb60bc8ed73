"""What is remembered of accounts: the last judged state, and per rule what came of it."""

from alembic import op

revision = "2026_11_26_second_accounts"
down_revision = "2026_11_26_second_origins"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE handoff.account (
            id TEXT COLLATE "C" CONSTRAINT account_pkey PRIMARY KEY,
            version BIGINT NOT NULL DEFAULT 0,
            state BYTEA,
            rules BYTEA
        ) WITH (fillfactor = 70)
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE handoff.account")
