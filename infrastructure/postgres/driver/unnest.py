"""Rows as parameters of statements."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from sqlalchemy import Cast, Table, TableValuedAlias, bindparam, cast, func
from sqlalchemy.dialects.postgresql import ARRAY

ROWS: Final = 250
"""Rows that one statement writes where there may be thousands. Making and sending them keeps other tasks waiting for a few milliseconds."""


def table_of_rows(table: Table, names: Sequence[str], name: str) -> TableValuedAlias:
    """
    Makes a table, called ``name``, that a statement can select from, of rows which it is given as parameters (`columns`). They have
    the columns ``names`` of ``table``.

    Each column is sent as one array: a statement with a parameter for each value would be compiled anew for each number of rows,
    which takes seconds for a thousand members. Without the rows the statement can be kept, and be made once.
    """

    def array(column: str) -> Cast[Any]:
        kind = ARRAY(table.c[column].type)
        return cast(bindparam(_parameter(column), type_=kind), kind)

    return func.unnest(*map(array, names)).table_valued(*names, name=name).render_derived()


def columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Returns the parameters of a statement with a `table_of_rows`. All rows, of which there is at least one, have the same columns."""
    return {_parameter(name): [row[name] for row in rows] for name in rows[0]}


def _parameter(column: str) -> str:
    """Names the parameter of a column. SQLAlchemy keeps the names of columns for parameters of its own."""
    return f"each_{column}"


def pieces(rows: Iterable[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Divides rows, which are made as they are needed, into pieces of `ROWS`."""
    remaining = iter(rows)
    while piece := [*islice(remaining, ROWS)]:
        yield piece


def beside_key(table: Table, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    Returns what an UPDATE of a row sets: all but its primary key. A distributed database accepts no assignment to the column
    that a table is divided by, even of the value that it has.
    """
    return {name: value for name, value in row.items() if not table.c[name].primary_key}
