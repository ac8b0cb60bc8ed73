"""Until when runs were looked for, of each timetable by itself: processes may have different files."""

from alembic import op

revision = "2026_11_28_second_timetables"
down_revision = "2026_11_28_recurring"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Marks of before are nobody's, and the first timetable with their times goes on from them."""
    op.execute(
        "ALTER TABLE handoff.schedule_mark ADD COLUMN timetable TEXT NOT NULL DEFAULT '',"
        " ADD COLUMN gone_at TIMESTAMPTZ, DROP CONSTRAINT schedule_mark_pkey,"
        " ADD CONSTRAINT schedule_mark_pkey PRIMARY KEY (rule, timetable)"
    )


def downgrade() -> None:
    """The latest mark of each rule stays."""
    op.execute(
        "DELETE FROM handoff.schedule_mark m USING handoff.schedule_mark o WHERE o.rule = m.rule"
        " AND (o.checked_until, o.timetable) > (m.checked_until, m.timetable)"
    )
    op.execute(
        "ALTER TABLE handoff.schedule_mark DROP CONSTRAINT schedule_mark_pkey,"
        " ADD CONSTRAINT schedule_mark_pkey PRIMARY KEY (rule), DROP COLUMN timetable, DROP COLUMN gone_at"
    )
