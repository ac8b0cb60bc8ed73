"""Accounts: what leads tell theirs, whom they belong to, and the accounts; known leads are taken in one by one."""

from alembic import op

revision = "2026_11_26_accounts"
down_revision = "2026_11_24_second_topic_ids"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE scoring.account_todo (
        seq BIGINT GENERATED ALWAYS AS IDENTITY CONSTRAINT account_todo_pkey PRIMARY KEY,
        lead_id UUID NOT NULL,
        contact BYTEA
    )
    """,
    """
    CREATE TABLE scoring.account_lead (
        lead_id UUID CONSTRAINT account_lead_pkey PRIMARY KEY,
        account_id UUID,
        contact BYTEA NOT NULL,
        seq BIGINT NOT NULL
    )
    """,
    "CREATE INDEX account_lead_account_id_idx ON scoring.account_lead (account_id)",
    """
    CREATE TABLE scoring.account (
        id UUID CONSTRAINT account_pkey PRIMARY KEY,
        version BIGINT NOT NULL,
        contacts INTEGER NOT NULL,
        score DOUBLE PRECISION,
        search TEXT COLLATE "C" NOT NULL,
        state JSONB NOT NULL,
        due_at TIMESTAMPTZ
    )
    """,
    "CREATE INDEX account_due_at_idx ON scoring.account (due_at)",
    "INSERT INTO scoring.account_todo (lead_id) SELECT id FROM scoring.lead WHERE merged_into IS NULL AND state <> ''",
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)


def downgrade() -> None:
    for table in ("account_todo", "account_lead", "account"):
        op.execute(f"DROP TABLE scoring.{table}")
