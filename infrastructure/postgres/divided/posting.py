"""The write path over divided tables: the statements of a batch, once for each chat."""

from collections.abc import Sequence
from typing import Final, LiteralString

from attrs import define, field

from application.ports.posting import Draft
from domain.chat import Chat
from domain.events import MessageSent
from infrastructure.postgres.divided.stamp import STAMP, UNSTAMPED
from infrastructure.postgres.divided.statements import changed, finish, grouped_by_chat, in_order
from infrastructure.postgres.driver import arrays
from infrastructure.postgres.driver.batches import Batch
from infrastructure.postgres.driver.pipeline import Rows, Statement
from infrastructure.postgres.posting import KEEP, READ, DraftRow, PostgresPosting, PostgresPostings, sought

READ_OF_ONE: Final = changed(
    READ,
    ("d.chat_id", "$5"),
    ("LEFT JOIN profile p ON p.profile_id = d.author_id\n", ""),
    (
        "p.profile_id, p.first_name, p.last_name, p.middle_name, p.username, p.xmin",
        "NULL::uuid, NULL::text, NULL::text, NULL::text, NULL::text, NULL::xid",
    ),
)
"""
`READ` with the chat as fifth parameter, and without the authors' names. Citus must see a value to find the node of the chat, and that
node has no profiles.
"""

AUTHORS: Final = """
SELECT profile_id, first_name, last_name, middle_name, username FROM profile WHERE profile_id = ANY (%s)
"""

NAMES: Final = ("author_id", "first_name", "last_name", "middle_name", "username")
"""The fields of `DraftRow` that the columns of `AUTHORS` are."""

KEEP_OF_ONE: Final = changed(
    KEEP,
    (UNSTAMPED, "WITH"),
    ("(SELECT tx FROM stamp)", "$17"),
    ("h.chat_id = u.chat_id", "h.chat_id = $18"),
    ("r.chat_id = u.chat_id", "r.chat_id = $18"),
    ("RETURNING r.tx\n", ""),
)
"""`KEEP` with the stamp and the chat as last parameters."""


@define(eq=False)
class DividedPostings(PostgresPostings):
    def _unit(self, batch: Batch, lock: LiteralString) -> PostgresPosting:
        return DividedPosting(batch, lock)


@define(eq=False)
class DividedPosting(PostgresPosting):
    _stamp: int = field(init=False, default=0)

    async def _read(self, drafts: Sequence[Draft], keys: Sequence[tuple[str, str]]) -> Sequence[Rows]:
        by_chat = grouped_by_chat(drafts, lambda draft: draft.chat_id)
        asked = [Statement(self._lock, (arrays.Uuids.of([id]),)) for id in by_chat]
        for id, (indexes, own) in by_chat.items():
            parameters = sought(own, [keys[index] for index in indexes])
            asked.append(Statement(READ_OF_ONE, (*parameters, arrays.Id.of(id))))
        authors = Statement(AUTHORS, (arrays.Uuids.of(sorted({draft.author_id for draft in drafts})),))
        stamp, named, *found = await self._batch.ask(STAMP, authors, *asked)
        self._stamp = stamp[0][0]
        names = {row[0]: row for row in named}
        heads = [row for rows in found[: len(by_chat)] for row in rows]
        rows = map(DraftRow._make, in_order(by_chat, found[len(by_chat) :]))
        return heads, [
            row._replace(**dict(zip(NAMES, names[draft.author_id], strict=True)))
            if draft.author_id in names
            else row
            for draft, row in zip(drafts, rows, strict=True)
        ]

    async def _store(self, chats: Sequence[Chat], posted: Sequence[MessageSent]) -> None:
        by_chat = grouped_by_chat(posted, lambda event: event.chat_id)
        kept = [
            Statement(
                KEEP_OF_ONE,
                (
                    *self._kept([chat], by_chat[chat.id][1] if chat.id in by_chat else ()),
                    arrays.Bigint.of(self._stamp),
                    arrays.Id.of(chat.id),
                ),
            )
            for chat in sorted(chats, key=lambda chat: chat.id)
        ]
        await finish(self._batch, kept)
