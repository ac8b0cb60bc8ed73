"""Verdicts on hits, and what remains of erased leads: keyed hashes with an instant."""

from alembic import op

revision = "2026_11_26_verdicts"
down_revision = "2026_11_26_links"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE scoring.verdict (
            source TEXT COLLATE "C" NOT NULL,
            id TEXT COLLATE "C" NOT NULL,
            verdict TEXT NOT NULL,
            detector INTEGER NOT NULL,
            reasons TEXT[] NOT NULL,
            recorded_at TIMESTAMPTZ NOT NULL,
            CONSTRAINT verdict_pkey PRIMARY KEY (source, id, verdict, detector)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE scoring.erasure (
            seq BIGINT GENERATED ALWAYS AS IDENTITY CONSTRAINT erasure_pkey PRIMARY KEY,
            hash UUID NOT NULL,
            lead_id UUID NOT NULL,
            erased_at TIMESTAMPTZ NOT NULL
        )
        """
    )
    op.execute("CREATE INDEX erasure_hash_idx ON scoring.erasure (hash)")


def downgrade() -> None:
    op.execute("DROP TABLE scoring.verdict")
    op.execute("DROP TABLE scoring.erasure")
