"""
The stamp of a transaction (`infrastructure.postgres.chats.TX`) over divided tables: always the coordinator's.

A statement that computes the stamp could be carried out by the node of a chat, whose transactions have numbers of their own. The
coordinator is therefore asked first, and statements are given the number.
"""

from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, literal
from sqlalchemy.event import listen
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.expression import ClauseElement
from sqlalchemy.sql.visitors import iterate, replacement_traverse

from infrastructure.postgres.chats import TX
from infrastructure.postgres.divided.writes import VARIANTS
from infrastructure.postgres.driver.pipeline import Statement

STAMP: Final = Statement("SELECT base + pg_current_xact_id()::text::bigint FROM origin WHERE id = 1")

TWO_PHASES: Final = """
INSERT INTO receipt (chat_id, profile_id, from_seq, to_seq, read_at, tx)
SELECT no.id, no.id, 0, 0, now(), 0 FROM unnest('{}'::uuid[]) AS no(id)
"""
"""
Adds nothing, but makes Citus commit the transaction in two phases, as every INSERT of rows from a query does. Without one, Citus commits
what was written on a single node before it commits on the coordinator: if the coordinator fails in between, half of it is stored.
"""

STAMP_OF_UNIT: Final = f"WITH two_phases AS ({TWO_PHASES}) {STAMP.text}"

UNSTAMPED: Final = """WITH stamp AS MATERIALIZED (
    SELECT base + pg_current_xact_id()::text::bigint AS tx FROM origin WHERE id = 1
),"""
"""The beginning of those statements for one server that compute the stamp themselves. `changed` removes it from them."""


def adapt(engine: AsyncEngine) -> AsyncEngine:
    """
    Makes the statements of units of work such that Citus accepts them. A checkout of a connection is one transaction. It is committed in two
    phases if it has a stamp.
    """
    stamps: WeakKeyDictionary[Connection, int] = WeakKeyDictionary()

    def accepted(
        connection: Connection, statement: Any, multiparams: Any, params: Any, _: Any
    ) -> tuple[Any, Any, Any]:
        if isinstance(statement, ClauseElement):
            statement = VARIANTS.get(statement, statement)
            if any(each is TX for each in iterate(statement)):
                if connection not in stamps:
                    stamps[connection] = connection.exec_driver_sql(STAMP_OF_UNIT).scalar_one()
                stamp = literal(stamps[connection], TX.type)
                statement = replacement_traverse(
                    statement, {}, lambda element, **_: stamp if element is TX else None
                )
        return statement, multiparams, params

    listen(engine.sync_engine, "before_execute", accepted, retval=True)
    return engine
