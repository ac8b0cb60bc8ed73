"""The handoff as a protocol: owners, deadlines, runs and lists, waiting crossings, versions of handoff.yaml."""

from alembic import op

revision = "2026_11_26_protocol"
down_revision = "2026_11_24_third_topic_ids"
branch_labels = None
depends_on = None

UP = (
    """
    ALTER TABLE handoff.crossing ADD COLUMN ended TEXT, ADD COLUMN hot BOOLEAN NOT NULL DEFAULT false,
        ADD COLUMN noted_at TIMESTAMPTZ, ADD COLUMN settling_since TIMESTAMPTZ, ADD COLUMN settle_due TIMESTAMPTZ,
        ADD COLUMN triggers BYTEA
    """,
    "CREATE INDEX crossing_settle_due_idx ON handoff.crossing (settle_due) WHERE settle_due IS NOT NULL",
    "CREATE INDEX crossing_rule_previous_idx ON handoff.crossing (rule, previous)",
    """
    ALTER TABLE handoff.handoff ADD COLUMN decide_by TIMESTAMPTZ, ADD COLUMN due_at TIMESTAMPTZ,
        ADD COLUMN breaches INTEGER NOT NULL DEFAULT 0, ADD COLUMN assign_at TIMESTAMPTZ, ADD COLUMN routing TEXT,
        ADD COLUMN extraction TEXT, ADD COLUMN rests_until TIMESTAMPTZ,
        ADD COLUMN rules_version INTEGER NOT NULL DEFAULT 0
    """,
    "CREATE INDEX handoff_due_at_idx ON handoff.handoff (due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX handoff_assign_at_idx ON handoff.handoff (assign_at) WHERE assign_at IS NOT NULL",
    """
    CREATE INDEX handoff_rule_crossed_at_id_idx ON handoff.handoff (rule, crossed_at, id)
        WHERE handed_over_at IS NULL AND state = 'qualified'
    """,
    "ALTER TABLE handoff.history ADD COLUMN event TEXT NOT NULL DEFAULT 'step', ADD COLUMN owner TEXT",
    """
    CREATE TABLE handoff.workload (
        queue TEXT NOT NULL,
        day DATE NOT NULL,
        member TEXT NOT NULL,
        taken INTEGER NOT NULL,
        CONSTRAINT workload_pkey PRIMARY KEY (queue, day, member)
    )
    """,
    """
    CREATE TABLE handoff.rules_version (
        version INTEGER CONSTRAINT rules_version_pkey PRIMARY KEY,
        digest TEXT NOT NULL,
        loaded_at TIMESTAMPTZ NOT NULL
    )
    """,
    """
    CREATE TABLE handoff.schedule_mark (
        rule TEXT CONSTRAINT schedule_mark_pkey PRIMARY KEY,
        checked_until TIMESTAMPTZ NOT NULL
    )
    """,
    """
    CREATE TABLE handoff.extraction (
        id UUID CONSTRAINT extraction_pkey PRIMARY KEY,
        rule TEXT NOT NULL,
        key TEXT NOT NULL,
        kind TEXT NOT NULL,
        queue TEXT NOT NULL,
        state TEXT NOT NULL,
        at TIMESTAMPTZ NOT NULL,
        count INTEGER NOT NULL DEFAULT 0,
        lapsed INTEGER NOT NULL DEFAULT 0,
        place TEXT COLLATE "C",
        created_at TIMESTAMPTZ NOT NULL,
        completed_at TIMESTAMPTZ
    )
    """,
    "CREATE UNIQUE INDEX extraction_rule_kind_key_key ON handoff.extraction (rule, kind, key)",
    "CREATE INDEX extraction_at_id_idx ON handoff.extraction (at, id)",
    "CREATE INDEX extraction_running_idx ON handoff.extraction (at) WHERE state = 'running'",
    """
    CREATE TABLE handoff.extraction_row (
        extraction_id UUID NOT NULL,
        number INTEGER NOT NULL,
        lead_id TEXT COLLATE "C" NOT NULL,
        cells BYTEA NOT NULL,
        CONSTRAINT extraction_row_pkey PRIMARY KEY (extraction_id, number)
    )
    """,
    "CREATE INDEX extraction_row_lead_id_idx ON handoff.extraction_row (lead_id)",
)

TABLES = ("extraction_row", "extraction", "schedule_mark", "rules_version", "workload")
DOWN = (
    *(f"DROP TABLE handoff.{table}" for table in TABLES),
    "ALTER TABLE handoff.history DROP COLUMN event, DROP COLUMN owner",
    "DROP INDEX handoff.handoff_rule_crossed_at_id_idx",
    """
    ALTER TABLE handoff.handoff DROP COLUMN decide_by, DROP COLUMN due_at, DROP COLUMN breaches,
        DROP COLUMN assign_at, DROP COLUMN routing, DROP COLUMN extraction, DROP COLUMN rests_until,
        DROP COLUMN rules_version
    """,
    "DROP INDEX handoff.crossing_rule_previous_idx",
    """
    ALTER TABLE handoff.crossing DROP COLUMN ended, DROP COLUMN hot, DROP COLUMN noted_at,
        DROP COLUMN settling_since, DROP COLUMN settle_due, DROP COLUMN triggers
    """,
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
