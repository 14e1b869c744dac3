"""
The statements of reads as Citus accepts them, where it refuses those for one server.

Each has the parameters and the columns of the one whose place it takes. They join the chats that are wanted with the tables that are
divided by chat: Citus sends such a statement to all nodes that have some of them, and each node reads its own. It accepts no
LATERAL over the rows of ``unnest``, and no search by recursion in several chats at once.
"""

from collections.abc import AsyncIterator, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final

from attrs import define

from infrastructure.postgres.divided.statements import AS_DIVIDED, changed
from infrastructure.postgres.driver.pipeline import Found, Statement
from infrastructure.postgres.driver.reads import PLANS, SHARED, Prepared, ReadPool, ReadTransaction, Row
from infrastructure.postgres.own_changes import CHATS_OF, HERE, STANDINGS
from infrastructure.postgres.pages import CHATS, CHATS_AFTER, CHATS_AND_HERE
from infrastructure.postgres.views import CONTACTS, ENTRIES, LOGS, STANDS

_HERE: Final = """
    WITH pending AS MATERIALIZED (
        SELECT coalesce(array_agg(kept.xmin::text::bigint), '{}') AS numbers
        FROM run_command_on_workers(
            'SELECT coalesce(array_agg(gid), ''{}'') FROM pg_prepared_xacts WHERE database = current_database()'
        ) AS found
        JOIN pg_dist_transaction AS kept ON kept.gid = ANY (found.result::text[])
    ), logs AS MATERIALIZED (
        SELECT greatest(
            (SELECT max(tx) FROM chat_log), (SELECT max(tx) FROM profile_log), (SELECT max(tx) FROM receipt)
        ) AS greatest
        FROM pending
    ), here AS MATERIALIZED (
        SELECT origin.generation, origin.base,
            (SELECT system_identifier FROM pg_control_system()) AS system_identifier,
            left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS timeline,
            pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xmax,
            ARRAY(
                SELECT x::text::bigint FROM pg_snapshot_xip(pg_current_snapshot()) AS x
                UNION
                SELECT next.number - ((next.number - pending_number) & 4294967295)
                FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS number) AS next,
                    unnest((SELECT numbers FROM pending)) AS pending_number
            ) AS xip,
            (SELECT greatest FROM logs) AS greatest,
            origin.home,
            (SELECT system_identifier::text FROM pg_control_system())
            || '/' || (SELECT oid::text FROM pg_database WHERE datname = current_database())
            || '/' || origin.tableoid::text AS present_home,
            origin.xmin::text AS written_by
        FROM origin WHERE origin.id = 1
    )
"""
"""
The place after everything that is read after it (`infrastructure.postgres.places`), as the coordinator sees it.

The coordinator commits a transaction before the nodes do, so its snapshot may say that a transaction has ended whose rows are
not visible yet. The nodes are therefore asked which transactions they have prepared, after the snapshot was taken and before any
row is read. Those of them that the coordinator has committed count as running: what they wrote is new to the next read. The
numbers of the others are in the snapshot already. ``pg_dist_transaction`` has a row for each part of a committed transaction, and its ``xmin`` is the
transaction's number, of which 32 bits are kept. A node that cannot be asked answers with an error, which is no array, so that the
read fails.
"""

ORIGIN_TEXT: Final = f"""
    {_HERE}
    SELECT generation, base, system_identifier, timeline, xmax, xip, greatest,
        home = present_home AS is_home, present_home || '/' || written_by AS lineage
    FROM here
"""  # noqa: S608 - a statement of ours
"""The columns of `infrastructure.postgres.changes.ORIGIN`."""

_OWN: Final = """
    own AS MATERIALIZED (
        SELECT each.chat_id FROM profile_chat AS each
        WHERE each.profile_id = %(reader)s::uuid AND each.left_at IS NULL
    )
"""
"""The chats of a reader, which the coordinator knows and sends to the nodes."""

_CHATS: Final = """
    SELECT head.chat_id, coalesce(head.last_at, chat.created_at) AS activity
    FROM own
    JOIN chat ON chat.chat_id = own.chat_id
    JOIN chat_head AS head ON head.chat_id = chat.chat_id
    ORDER BY activity DESC, head.chat_id DESC
    LIMIT %(most)s::bigint OFFSET %(skip)s::bigint
"""

VARIANTS: Final[Mapping[str, Prepared]] = {
    HERE.numbered: Prepared(ORIGIN_TEXT, {}),
    CHATS.numbered: Prepared(f"WITH {_OWN} {_CHATS}", {}),
    CHATS_AND_HERE.numbered: Prepared(
        f"""
        {_HERE}, {_OWN}
        SELECT first.chat_id, first.activity, here.base, here.xmax, here.xip, here.greatest
        FROM ({_CHATS}) AS first CROSS JOIN here
        ORDER BY first.activity DESC, first.chat_id DESC
        """,  # noqa: S608 - statements of ours
        {},
    ),
    CHATS_AFTER.numbered: Prepared(
        f"""
        WITH {_OWN}
        SELECT chat_id, activity
        FROM (
            SELECT head.chat_id, coalesce(
                CASE WHEN head.tx >= %(next_tx)s::bigint OR head.tx = ANY (%(running)s::bigint[]) THEN (
                    SELECT message.sent_at
                    FROM message
                    JOIN chat_log ON chat_log.chat_id = message.chat_id AND chat_log.position = message.position
                    WHERE message.chat_id = head.chat_id
                        AND NOT (chat_log.tx >= %(next_tx)s::bigint OR chat_log.tx = ANY (%(running)s::bigint[]))
                    ORDER BY message.seq DESC LIMIT 1
                ) ELSE head.last_at END, chat.created_at) AS activity
            FROM own
            JOIN chat ON chat.chat_id = own.chat_id
            JOIN chat_head AS head ON head.chat_id = chat.chat_id
            WHERE chat.deleted_at IS NULL
        ) AS listed
        WHERE (activity, chat_id) < (%(at)s::timestamptz, %(id)s::uuid)
        ORDER BY activity DESC, chat_id DESC
        LIMIT %(most)s::bigint OFFSET %(skip)s::bigint
        """,  # noqa: S608 - statements of ours
        {},
    ),
    CHATS_OF.numbered: Prepared(
        """
        WITH own AS MATERIALIZED (
            SELECT wanted.number, each.chat_id
            FROM unnest(%(readers)s::uuid[]) WITH ORDINALITY AS wanted (reader_id, number)
            JOIN profile_chat AS each ON each.profile_id = wanted.reader_id
            WHERE each.left_at IS NULL
        )
        SELECT own.number, array_agg(chat.chat_id) AS chat_ids
        FROM own JOIN chat ON chat.chat_id = own.chat_id
        WHERE chat.deleted_at IS NULL
        GROUP BY own.number
        """,
        {},
    ),
    STANDINGS.numbered: Prepared(
        """
        WITH own AS MATERIALIZED (
            SELECT wanted.number, wanted.next_tx, wanted.running, each.chat_id, each.profile_id
            FROM (
                SELECT asked.reader_id, asked.next_tx, asked.number,
                    (%(running)s::bigint[])[asked.first:asked.last] AS running
                FROM unnest(
                    %(readers)s::uuid[], %(next_txs)s::bigint[], %(firsts)s::bigint[], %(lasts)s::bigint[]
                ) WITH ORDINALITY AS asked (reader_id, next_tx, first, last, number)
            ) AS wanted
            JOIN profile_chat AS each ON each.profile_id = wanted.reader_id
            WHERE each.left_at IS NULL
        )
        SELECT own.number, head.chat_id, head.last_seq, head.last_position, head.member_count,
            reading.mark, reading.less, coalesce(others.mark, 0) AS others_mark,
            reading.tx >= own.next_tx OR reading.tx = ANY (own.running)
                OR coalesce(others.tx >= own.next_tx OR others.tx = ANY (own.running), false)
                AS is_read,
            CASE WHEN head.tx >= own.next_tx OR head.tx = ANY (own.running) THEN 1 + coalesce((
                SELECT known.position FROM chat_log AS known
                WHERE known.chat_id = head.chat_id
                    AND NOT (known.tx >= own.next_tx OR known.tx = ANY (own.running))
                ORDER BY known.position DESC LIMIT 1
            ), 0) END AS first_missed
        FROM own
        JOIN chat ON chat.chat_id = own.chat_id
        JOIN chat_head AS head ON head.chat_id = chat.chat_id
        JOIN reading ON reading.chat_id = chat.chat_id AND reading.profile_id = own.profile_id
        LEFT JOIN LATERAL (
            SELECT each.mark, each.tx FROM reading AS each
            WHERE each.chat_id = reading.chat_id AND each.profile_id <> reading.profile_id
            ORDER BY each.mark DESC LIMIT 1
        ) AS others ON true
        WHERE chat.deleted_at IS NULL
        ORDER BY own.number, head.chat_id
        """,
        {},
    ),
    STANDS.numbered: Prepared(
        """
        WITH epoch AS MATERIALIZED (
            SELECT each.generation, each.base,
                (SELECT system_identifier FROM pg_control_system()) AS system_identifier,
                left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS timeline
            FROM origin AS each WHERE each.id = 1
        )
        SELECT wanted.number, chat.deleted_at, head.last_seq, head.last_position, head.member_count,
            member.left_at, member.profile_id AS member_id, reading.mark, reading.less,
            coalesce((
                SELECT max(each.mark) FROM reading AS each
                WHERE each.chat_id = reading.chat_id AND each.profile_id <> reading.profile_id
            ), 0) AS others_mark,
            epoch.generation, epoch.base, epoch.system_identifier, epoch.timeline
        FROM unnest(%(chats)s::uuid[], %(readers)s::uuid[])
            WITH ORDINALITY AS wanted (chat_id, reader_id, number)
        JOIN chat ON chat.chat_id = wanted.chat_id
        JOIN chat_head AS head ON head.chat_id = chat.chat_id
        LEFT JOIN member ON member.chat_id = chat.chat_id AND member.profile_id = wanted.reader_id
        LEFT JOIN reading ON reading.chat_id = chat.chat_id AND reading.profile_id = wanted.reader_id
        CROSS JOIN epoch
        """,
        {},
    ),
    ENTRIES.numbered: Prepared(
        changed(
            ENTRIES.text,
            (
                "unnest(%(ids)s::UUID[]) AS anon_1(chat_id)",
                "(SELECT each.chat_id FROM chat AS each WHERE each.chat_id = ANY (%(ids)s::UUID[])) AS anon_1",
            ),
        ),
        ENTRIES.constants,
    ),
    LOGS.numbered: Prepared(
        """
        SELECT entry.position AS log_position, entry.kind, entry.payload, entry.chat_id AS log_chat_id,
            said.chat_id, said.seq, said.message_id, said.position, said.sender_id, said.nonce, said.body,
            said.sent_at
        FROM unnest(%(ids)s::uuid[], %(after)s::bigint[], %(last)s::bigint[])
            WITH ORDINALITY AS wanted (chat_id, after, last, number)
        JOIN chat_log AS entry
            ON entry.chat_id = wanted.chat_id AND entry.position > wanted.after AND entry.position <= wanted.last
        LEFT JOIN message AS said ON said.chat_id = entry.chat_id AND said.seq = entry.seq
        ORDER BY wanted.number, entry.position
        """,
        {},
    ),
    CONTACTS.numbered: Prepared(
        """
        WITH shared AS MATERIALIZED (
            SELECT theirs.profile_id, theirs.chat_id
            FROM profile_chat AS own
            JOIN profile_chat AS theirs ON theirs.chat_id = own.chat_id
            WHERE own.profile_id = %(reader)s::uuid AND theirs.profile_id = ANY (%(wanted)s::uuid[])
                AND own.left_at IS NULL AND theirs.left_at IS NULL
        ), contact AS MATERIALIZED (
            SELECT DISTINCT shared.profile_id FROM shared JOIN chat ON chat.chat_id = shared.chat_id
            WHERE chat.deleted_at IS NULL
        )
        SELECT person.profile_id, (
            SELECT max(each.last_used_at) FROM session AS each WHERE each.account_id = person.account_id
        ) AS last_used_at
        FROM contact JOIN profile AS person ON person.profile_id = contact.profile_id
        ORDER BY person.profile_id
        """,
        {},
    ),
}
"""By the text of the statement for one server, the one that takes its place."""


def accepted(statement: Prepared) -> Prepared:
    return VARIANTS.get(statement.numbered, statement)


def _accepted_in_exchange(statement: Statement) -> Statement:
    variant = VARIANTS.get(statement.text)
    if variant is None:
        return statement
    given = dict(zip(_NAMES[statement.text], statement.parameters, strict=True))
    return variant.asked(**given)


_NAMES: Final = {
    each.numbered: each.names
    for each in (
        HERE,
        CHATS,
        CHATS_AND_HERE,
        CHATS_AFTER,
        CHATS_OF,
        STANDINGS,
        STANDS,
        ENTRIES,
        LOGS,
        CONTACTS,
    )
}


@define(eq=False)
class DividedReadTransaction(ReadTransaction):
    async def rows(self, statement: Prepared, **parameters: Any) -> Sequence[Any]:
        return await super().rows(accepted(statement), **parameters)


@define(eq=False)
class DividedReadPool(ReadPool):
    """Reads from the coordinator of a Citus cluster, with the statements that it accepts."""

    plans: ClassVar[Mapping[str, str]] = {**PLANS, **AS_DIVIDED}

    @asynccontextmanager
    async def open(self, reader: Hashable = None) -> AsyncIterator[ReadTransaction]:
        async with super().open(reader) as reads:
            yield DividedReadTransaction(reads.reader)

    async def _rows_for(
        self, whose: Hashable, statement: Prepared, parameters: Mapping[str, Any]
    ) -> Sequence[Row]:
        if statement is HERE:  # its snapshot must be older than what it asks the nodes
            async with self.open(whose) as reads:
                return await reads.rows(HERE, **parameters)
        return await super()._rows_for(whose, accepted(statement), parameters)

    async def exchange(
        self, *statements: Statement, whose: Hashable = SHARED, in_one_snapshot: bool = True
    ) -> Sequence[Found]:
        accepted = map(_accepted_in_exchange, statements)
        return await super().exchange(*accepted, whose=whose, in_one_snapshot=in_one_snapshot)
