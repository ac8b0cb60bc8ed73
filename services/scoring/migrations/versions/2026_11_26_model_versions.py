"""Drafts, shadows and publications of scoring models, who changed what, and the refold in hand."""

from alembic import op

revision = "2026_11_26_model_versions"
down_revision = "2026_11_26_accounts"
branch_labels = None
depends_on = None

UPGRADE = (
    "ALTER TABLE scoring.model_version ADD COLUMN state TEXT NOT NULL DEFAULT 'published'",
    "ALTER TABLE scoring.model_version ADD COLUMN revision INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE scoring.model_version ADD COLUMN note TEXT",
    "ALTER TABLE scoring.model_version ADD COLUMN changed_by TEXT NOT NULL DEFAULT 'file'",
    "ALTER TABLE scoring.model_version RENAME COLUMN published_at TO changed_at",
    """
    CREATE TABLE scoring.model_publication (
        id BIGSERIAL CONSTRAINT model_publication_pkey PRIMARY KEY,
        name TEXT NOT NULL,
        version INTEGER,
        published_at TIMESTAMPTZ NOT NULL DEFAULT now(),
        published_by TEXT NOT NULL
    )
    """,
    "CREATE INDEX model_publication_name_id_idx ON scoring.model_publication (name, id)",
    """
    INSERT INTO scoring.model_publication (name, version, published_at, published_by)
    SELECT name, version, changed_at, 'file' FROM scoring.model_version ORDER BY name, version
    """,
    """
    UPDATE scoring.model_version v SET state = 'retired' WHERE version < (
        SELECT max(version) FROM scoring.model_version w WHERE w.name = v.name
    )
    """,
    """
    CREATE TABLE scoring.model_audit (
        id BIGSERIAL CONSTRAINT model_audit_pkey PRIMARY KEY,
        at TIMESTAMPTZ NOT NULL DEFAULT now(),
        by TEXT NOT NULL,
        name TEXT NOT NULL,
        version INTEGER,
        action TEXT NOT NULL,
        detail JSONB NOT NULL DEFAULT '{}'
    )
    """,
    """
    CREATE TABLE scoring.refold (
        id BIGSERIAL CONSTRAINT refold_pkey PRIMARY KEY,
        name TEXT NOT NULL,
        version INTEGER,
        release_per_minute INTEGER,
        after UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
        leads BIGINT,
        done BIGINT NOT NULL DEFAULT 0,
        switched BIGINT NOT NULL DEFAULT 0,
        released BIGINT NOT NULL DEFAULT 0,
        released_at TIMESTAMPTZ,
        started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
        folded_at TIMESTAMPTZ,
        finished_at TIMESTAMPTZ
    )
    """,
    # Whoever was in the middle of folding again when the program was replaced goes on.
    "INSERT INTO scoring.refold (name) SELECT name FROM scoring.model_version ORDER BY version DESC LIMIT 1",
    """
    CREATE TABLE scoring.release (
        lead_id UUID CONSTRAINT release_pkey PRIMARY KEY,
        score DOUBLE PRECISION NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for table in ("release", "refold", "model_audit", "model_publication"):
        op.execute(f"DROP TABLE scoring.{table}")
    op.execute("DELETE FROM scoring.model_version WHERE state IN ('draft', 'shadow')")
    op.execute("ALTER TABLE scoring.model_version RENAME COLUMN changed_at TO published_at")
    for column in ("state", "revision", "note", "changed_by"):
        op.execute(f"ALTER TABLE scoring.model_version DROP COLUMN {column}")
