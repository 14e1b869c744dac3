"""Rows that travel in a statement."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, TableValuedAlias, cast, func
from sqlalchemy.dialects.postgresql import ARRAY


def given_rows(table: Table, rows: Sequence[Mapping[str, Any]], name: str) -> TableValuedAlias:
    """
    Rows of some columns of ``table``, at least one and all of the same columns, to be selected from under ``name``.

    A column travels as one array: a statement with a parameter for each value is compiled anew for each number of rows,
    which for a thousand members takes seconds.
    """
    names = list(rows[0])
    columns = [cast([row[each] for row in rows], ARRAY(table.c[each].type)) for each in names]
    return func.unnest(*columns).table_valued(*names, name=name).render_derived()
