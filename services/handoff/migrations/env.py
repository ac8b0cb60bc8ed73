"""Alembic's entry: which tables this schema should have."""

from services.handoff.tables import metadata
from shared.migrate import run_env

run_env(metadata)
