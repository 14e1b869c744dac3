"""
Draws the tables as an entity diagram in Mermaid.

`make diagram` puts it into docs/database.md, and a test checks that it is up to date. There are no foreign keys to read
relations from (docs/storage.md, "Rules that keep sharding possible"): a column named like the key of another table is taken
to refer to it.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import Column, Table

from infrastructure.postgres.schema.base import metadata, with_all_tables

OWNERS: Final = {"chat_id": "chat", "profile_id": "profile", "account_id": "account"}
"""Tables by the names of their key columns."""

OTHER_NAMES: Final = {
    "owner_id": "profile",
    "sender_id": "profile",
    "one_id": "profile",
    "other_id": "profile",
}

BEGIN, END = "<!-- the diagram begins -->\n", "<!-- the diagram ends -->\n"


def diagram() -> str:
    """Returns the diagram as a fenced Mermaid block."""
    tables = sorted(with_all_tables(metadata).tables.values(), key=lambda table: table.name)
    lines = [line for table in tables for line in _entity(table)]
    lines += [line for table in tables for line in _relations(table)]
    return "```mermaid\nerDiagram\n" + "".join(f"    {line}\n" for line in lines) + "```\n"


def put_into(text: str) -> str:
    """Replaces the diagram between the marks of a page."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{diagram()}{END}{after}"


def _entity(table: Table) -> Iterator[str]:
    yield f"{table.name} {{"
    for column in table.columns:
        key = " PK" if column.primary_key else ""
        note = ' "may be null"' if column.nullable else ""
        yield f"    {_kind(column)} {column.name}{key}{note}"
    yield "}"


def _kind(column: Column[object]) -> str:
    return column.type.__class__.__name__.lower()


def _relations(table: Table) -> Iterator[str]:
    for column in table.columns:
        owner = OWNERS.get(column.name) or OTHER_NAMES.get(column.name)
        if owner and owner != table.name:
            alone = [each.name for each in table.primary_key.columns] == [column.name]
            yield f"{owner} ||--{'o|' if alone else 'o{'} {table.name} : {column.name}"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(put_into(page.read_text()))
