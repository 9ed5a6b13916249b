"""Alembic's entry: runs the migrations on the connection that `webapp.rows.database.migrate` hands over."""

from alembic import context
from sqlalchemy import Connection, text

from webapp.rows.records import Base

MIGRATION_LOCK = 7_453_201
"""Any number that nothing else in the database locks."""


def run(connection: Connection) -> None:
    """Upgrade in one transaction; on Postgres only one process at a time, on any machine."""
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        context.run_migrations()


run(context.config.attributes["connection"])
