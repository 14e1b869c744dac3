"""Read marks over divided tables: the statements of a batch, once for each chat."""

from collections.abc import Sequence
from typing import Final

from attrs import define, field

from application.ports.marking import MarkRequest
from domain.ids import Seq
from domain.reading import Reading
from infrastructure.postgres.divided.stamp import STAMP, UNSTAMPED
from infrastructure.postgres.divided.statements import changed, finish, grouped_by_chat, in_order
from infrastructure.postgres.driver import arrays
from infrastructure.postgres.driver.batches import Batch
from infrastructure.postgres.driver.pipeline import Rows, Statement
from infrastructure.postgres.marking import (
    KEEP,
    LOCK,
    NEWLY_READ,
    READ,
    Moved,
    PostgresMarking,
    PostgresMarkings,
    kept,
    keys_of,
    passed,
    sought,
)

LOCK_OF_ONE: Final = changed(LOCK, ("k.chat_id", "$3"))
READ_OF_ONE: Final = changed(READ, ("w.chat_id", "$4"))
NEWLY_READ_OF_ONE: Final = changed(NEWLY_READ, ("r.chat_id", "$6"))
KEEP_OF_ONE: Final = changed(
    KEEP,
    (UNSTAMPED, "WITH"),
    ("(SELECT tx FROM stamp)", "$12"),
    ("r.chat_id = u.chat_id", "r.chat_id = $13"),
)
"""The statements of `infrastructure.postgres.marking` with the chat as last parameter: Citus must see a value to find its node."""


@define(eq=False)
class DividedMarkings(PostgresMarkings):
    def _unit(self, batch: Batch) -> PostgresMarking:
        return DividedMarking(batch)


@define(eq=False)
class DividedMarking(PostgresMarking):
    _stamp: int = field(init=False, default=0)

    async def _read(self, requests: Sequence[MarkRequest]) -> Sequence[Rows]:
        by_chat = grouped_by_chat(requests, lambda request: request.chat_id)
        stamp, *found = await self._batch.ask(
            STAMP,
            *(
                Statement(LOCK_OF_ONE, (*keys_of(some), arrays.Id.of(id)))
                for id, (_, some) in by_chat.items()
            ),
            *(Statement(READ_OF_ONE, (*sought(some), arrays.Id.of(id))) for id, (_, some) in by_chat.items()),
        )
        self._stamp = stamp[0][0]
        locked = [row for rows in found[: len(by_chat)] for row in rows]
        return locked, in_order(by_chat, found[len(by_chat) :])

    async def _read_newly(self, moves: Sequence[tuple[Reading, Seq]]) -> Rows:
        by_chat = grouped_by_chat(moves, lambda move: move[0].chat_id)
        found = await self._batch.ask(
            *(
                Statement(NEWLY_READ_OF_ONE, (*passed(some), arrays.Id.of(id)))
                for id, (_, some) in by_chat.items()
            )
        )
        return in_order(by_chat, found)

    async def _store(self, moved: Sequence[Moved]) -> None:
        stamp = arrays.Bigint.of(self._stamp)
        by_chat = grouped_by_chat(moved, lambda each: each[0].chat_id)
        kept_by_chat = [
            Statement(KEEP_OF_ONE, (*kept(some, self._latest), stamp, arrays.Id.of(id)))
            for id, (_, some) in by_chat.items()
        ]
        await finish(self._batch, kept_by_chat)
