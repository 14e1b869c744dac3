"""
Shared by all tables: the metadata, the naming of constraints, and the key by which a table would be distributed.

A table says in ``info`` which key it would be distributed by (docs/storage.md, "Rules that keep sharding possible"): a key
column, ``lookup`` (the primary key is the value that must be unique overall) or ``reference`` (a few rows, everywhere).
`tests/architecture` holds the tables to what they declare.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Final

from sqlalchemy import BigInteger, Column, DateTime, MetaData

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


def moment(name: str, *, nullable: bool = False) -> Column[Any]:
    """An instant, written from the application's clock, never by the server's."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


def stamp() -> Column[Any]:
    """``tx``: base plus the number of the transaction that wrote the row last (docs/storage.md, "The cursor")."""
    return Column("tx", BigInteger, nullable=False)


def with_all_tables(declared: MetaData) -> MetaData:
    """Tables enter the metadata as their modules, ``tables`` and ``*_tables`` beside this one, are imported."""
    package, _, _ = __name__.rpartition(".")
    for module in iter_modules(import_module(package).__path__):
        if module.name.endswith("tables"):
            import_module(f"{package}.{module.name}")
    return declared
