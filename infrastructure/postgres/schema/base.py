"""
The parts that all tables share: the metadata, the names of constraints, and the declaration of a table's key.

Each table declares in ``info`` the key that it could be sharded by (docs/storage.md, "Rules that keep sharding possible"): a
key column, ``lookup`` (the primary key is a value that must be unique overall) or ``reference`` (a few rows that every node
needs). `tests/architecture` checks the tables against these declarations.
"""

from collections.abc import Iterable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, DateTime, MetaData, Table, text
from sqlalchemy.event import listens_for

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

BY_CHAT: Final = {"keyed_by": "chat_id"}
BY_PROFILE: Final = {"keyed_by": "profile_id"}
BY_ACCOUNT: Final = {"keyed_by": "account_id"}
LOOKUP: Final = {"keyed_by": "lookup"}
REFERENCE: Final = {"keyed_by": "reference"}

CROWDED: Final = {"assumed_keys": 200}
"""
Declared by a table of which several indexes begin with its key: ``ANALYZE`` tells the planner that there are only so many
keys, whatever it counts. Otherwise statistics of many chats with one message each would make all those indexes look equally
good, and a lookup in a chat that has grown could read all of its rows. 200 is also what PostgreSQL assumes of a table that
was never analyzed.
"""


def moment(name: str, *, nullable: bool = False) -> Column[Any]:
    """Makes a timestamp column. Its values come from the application's clock, never from the server's."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


def stamp() -> Column[Any]:
    """Makes the column ``tx``: base plus the number of the transaction that last wrote the row (docs/storage.md, "The cursor")."""
    return Column("tx", BigInteger, nullable=False)


def assumed_keys(table: Table) -> str | None:
    """Returns the statement that sets how many keys the planner assumes, or None if the table is not `CROWDED`."""
    count = table.info.get("assumed_keys")
    return (
        f"ALTER TABLE {table.name} ALTER {table.info['keyed_by']} SET (n_distinct = {count})"
        if count
        else None
    )


@listens_for(metadata, "after_create")
def _assume_few_keys(_: MetaData, connection: Connection, *, tables: Iterable[Table], **__: Any) -> None:
    for statement in filter(None, map(assumed_keys, tables)):
        connection.execute(text(statement))


def with_all_tables(declared: MetaData) -> MetaData:
    """Returns the metadata after importing all modules beside this one whose names end in ``tables``, which declare tables."""
    package, _, _ = __name__.rpartition(".")
    for module in iter_modules(import_module(package).__path__):
        if module.name.endswith("tables"):
            import_module(f"{package}.{module.name}")
    return declared
