"""Rows as parameters of statements."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, TableValuedAlias, cast, func
from sqlalchemy.dialects.postgresql import ARRAY


def rows_as_table(table: Table, rows: Sequence[Mapping[str, Any]], name: str) -> TableValuedAlias:
    """
    Turns rows into a table that a statement can select from under ``name``.

    ``rows`` must not be empty, and all of them must have the same columns of ``table``. Each column is sent as one array:
    a statement with a parameter for each value would be compiled anew for each number of rows, which takes seconds for a
    thousand members.
    """
    names = list(rows[0])
    columns = [cast([row[each] for row in rows], ARRAY(table.c[each].type)) for each in names]
    return func.unnest(*columns).table_valued(*names, name=name).render_derived()


def beside_key(table: Table, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    Returns what an UPDATE of a row sets: all but its primary key. A distributed database accepts no assignment to the column
    that a table is divided by, even of the value that it has.
    """
    return {name: value for name, value in row.items() if not table.c[name].primary_key}
