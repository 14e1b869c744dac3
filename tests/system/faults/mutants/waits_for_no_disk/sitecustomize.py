"""A mutant: transactions end without waiting for the disk."""

from infrastructure.postgres.driver import connection

connection.DURABLE = "'off'"  # type: ignore[misc]
