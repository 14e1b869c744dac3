"""Many rows as parameters of one statement."""

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
