from collections.abc import Callable
from typing import Any

from attrs import frozen
from sqlalchemy import Column, ColumnElement, and_, not_

from application.ports.changes import Cursor
from infrastructure.postgres.changes import PostgresChanges
from infrastructure.postgres.places import Place


@frozen
class DividedChanges(PostgresChanges):
    """
    Leaves what is visible already and new to the next cursor to the next read, so that each thing is told once: the rows of
    transactions that count as running, because a node had not committed them when it was asked.
    """

    def _newer(self, cursor: Cursor, here: Cursor) -> Callable[[Column[Any]], ColumnElement[bool]]:
        before, after = Place.read(cursor.place), Place.read(here.place)
        return lambda tx: and_(before.behind(tx), not_(after.behind(tx)))
