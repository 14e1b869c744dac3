"""Alembic runs this module for each command. The caller passes the connection in the configuration; there is no alembic.ini."""

from alembic import context

from infrastructure.postgres.schema.base import metadata, with_all_tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=with_all_tables(metadata),
    compare_type=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
