"""
How the tables would be divided over the nodes of a Citus cluster.

Each table is divided by the key that it declares (`infrastructure.postgres.schema.base`). Tables with the same key are
divided alike, so that all rows of a chat, of a profile or of an account are on one node.
"""

from collections.abc import Iterator

from attrs import frozen
from sqlalchemy import Table

from infrastructure.postgres.schema.base import metadata, with_all_tables


@frozen
class Placement:
    table: str
    column: str | None
    """The column that the table is divided by; None if each node has a copy of it."""
    beside: str | None = None
    """The table whose rows are on the same nodes; None for the first of its kind."""

    @property
    def statement(self) -> str:
        """The call of Citus that places the table."""
        if self.column is None:
            return f"SELECT create_reference_table('{self.table}')"
        beside = self.beside or "none"
        return (
            f"SELECT create_distributed_table('{self.table}', '{self.column}', colocate_with => '{beside}')"
        )


def placements() -> Iterator[Placement]:
    """Yields the placement of each table. Tables of other programs, and Alembic's, stay where they are."""
    first: dict[str, str] = {}
    for table in with_all_tables(metadata).sorted_tables:
        column = dividing_column(table)
        if column is None:
            yield Placement(table.name, None)
        else:
            yield Placement(table.name, column, first.get(column))
            first.setdefault(column, table.name)


def dividing_column(table: Table) -> str | None:
    """Returns the key of a table, of a lookup the first column of its value, and None of reference data."""
    key: str = table.info["keyed_by"]
    if key == "reference":
        return None
    if key == "lookup":
        return table.primary_key.columns.keys()[0]
    return key
