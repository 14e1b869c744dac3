"""Run by Alembic for each command. The connection comes from whoever gave it; there is no alembic.ini."""

from alembic import context

import infrastructure.postgres.account_tables
import infrastructure.postgres.tables  # noqa: F401  # the tables enter the metadata as they are imported
from infrastructure.postgres.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
