"""Keep each lead's last state, so that a rule added later can take note of it; handoffs know their model and expiry."""

from alembic import op

revision = "2026_11_24_second_states_kept"
down_revision = "2026_11_24_first_schema"
branch_labels = None
depends_on = None

TO_TEXT = 'TYPE TEXT COLLATE "C" USING {0}::text'
TO_UUID = "TYPE UUID USING {0}::uuid"
LEAD_IDS = (("lead", "id"), ("lead", "merged_into"), ("crossing", "lead_id"), ("handoff", "lead_id"))

UP = (
    "ALTER TABLE handoff.lead ADD COLUMN state BYTEA, DROP COLUMN scores",
    "ALTER TABLE handoff.crossing ADD COLUMN version BIGINT NOT NULL DEFAULT 0",
    "UPDATE handoff.crossing c SET version = l.version FROM handoff.lead l WHERE l.id = c.lead_id",
    """
    ALTER TABLE handoff.handoff ADD COLUMN model TEXT, ADD COLUMN model_version INTEGER,
        ADD COLUMN expires_at TIMESTAMPTZ, ADD COLUMN revision INTEGER
    """,
    """
    UPDATE handoff.handoff h SET model = '', model_version = 0,
        expires_at = crossed_at + (close_at - coalesce(handed_over_at, crossed_at)),
        revision = (SELECT count(*) FROM handoff.history s WHERE s.handoff_id = h.id)
    """,
    """
    ALTER TABLE handoff.handoff ALTER COLUMN model SET NOT NULL, ALTER COLUMN model_version SET NOT NULL,
        ALTER COLUMN expires_at SET NOT NULL, ALTER COLUMN revision SET NOT NULL
    """,
    "CREATE INDEX handoff_crossed_at_id_idx ON handoff.handoff (crossed_at, id)",
    "CREATE INDEX handoff_queue_state_crossed_at_id_idx ON handoff.handoff (queue, state, crossed_at, id)",
    """
    CREATE TABLE handoff.first_start (
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        end_offset BIGINT NOT NULL,
        CONSTRAINT first_start_pkey PRIMARY KEY (topic, partition)
    )
    """,
)

DOWN = (
    "DROP TABLE handoff.first_start",
    "DROP INDEX handoff.handoff_queue_state_crossed_at_id_idx",
    "DROP INDEX handoff.handoff_crossed_at_id_idx",
    """
    ALTER TABLE handoff.handoff DROP COLUMN model, DROP COLUMN model_version, DROP COLUMN expires_at,
        DROP COLUMN revision
    """,
    "ALTER TABLE handoff.crossing DROP COLUMN version",
    "ALTER TABLE handoff.lead DROP COLUMN state, ADD COLUMN scores JSONB NOT NULL DEFAULT '{}'",
)


def upgrade() -> None:
    for table, column in LEAD_IDS:
        op.execute(f"ALTER TABLE handoff.{table} ALTER COLUMN {column} {TO_TEXT.format(column)}")
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
    for table, column in LEAD_IDS:
        op.execute(f"ALTER TABLE handoff.{table} ALTER COLUMN {column} {TO_UUID.format(column)}")
