"""Statements for lists that are read in pages, and the conversion of their places (`application.paging`)."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import BigInteger, DateTime, Uuid, bindparam, func, select, true, tuple_

from application.paging import LEAST_ID, LONG_AGO, BadPlace, ChatPlace, Paging, ReaderPlace
from domain.ids import ProfileId
from infrastructure.postgres.driver.reads import Prepared, Row, prepared
from infrastructure.postgres.places import Place, place_columns
from infrastructure.postgres.schema.chat_tables import (
    chat,
    chat_head,
    member,
    origin,
    profile_chat,
    reading,
)

READER, CHAT, ID, FIRST = (bindparam(name, type_=Uuid) for name in ("reader", "chat", "id", "first"))
AT: Final = bindparam("at", type_=DateTime(timezone=True))
MOST, SKIP = (bindparam(name, type_=BigInteger) for name in ("most", "skip"))

_own = select(profile_chat.c.chat_id).where(
    profile_chat.c.profile_id == READER, profile_chat.c.left_at.is_(None)
)
_of_own = _own.subquery("own")
_head = (
    select(chat_head.c.last_at)
    .where(chat_head.c.chat_id == _of_own.c.chat_id)
    .limit(1)
    .correlate(_of_own)
    .lateral("one_head")
)
_silent = (
    select(chat.c.created_at)
    .where(_head.c.last_at.is_(None), chat.c.chat_id == _of_own.c.chat_id)
    .limit(1)
    .correlate(_of_own, _head)
    .lateral("one_silent")
)
_activity = func.coalesce(_head.c.last_at, _silent.c.created_at).label("activity")
_chats = (
    select(_of_own.c.chat_id, _activity)
    .select_from(_of_own.join(_head, true()).outerjoin(_silent, true()))
    .order_by(_activity.desc(), _of_own.c.chat_id.desc())
    .limit(MOST)
    .offset(SKIP)
)

CHATS: Final = prepared(_chats)
"""
Selects the chats of a reader, newest activity first.

The statement reads the head of each chat, even for a page of one chat. The head is one small row. An index in the order of
activity would have to be written for each message and each member. Chats that were deleted have no members left. The chat
itself is read only if it has no messages, for the time at which it was created.
"""

_here = select(*place_columns()).where(origin.c.id == 1).subquery("here")
_first = _chats.subquery("first")

CHATS_AND_HERE: Final = prepared(
    select(_first, _here)
    .select_from(_first.join(_here, true()))
    .order_by(_first.c.activity.desc(), _first.c.chat_id.desc())
)
"""The same, each with the place (`infrastructure.postgres.places`) at which a walk through the list begins."""

CHATS_AFTER: Final = Prepared(
    """
    WITH own AS MATERIALIZED (
        SELECT head.chat_id, coalesce(
            CASE WHEN head.tx >= %(next_tx)s::bigint OR head.tx = ANY (%(running)s::bigint[]) THEN (
                SELECT message.sent_at FROM message
                WHERE message.chat_id = head.chat_id AND message.seq = (
                    WITH RECURSIVE search (low, high) AS (
                        SELECT 0::bigint, head.last_seq
                        UNION ALL
                        SELECT CASE WHEN found.is_new THEN search.low ELSE half.seq END,
                               CASE WHEN found.is_new THEN half.seq - 1 ELSE search.high END
                        FROM search,
                             LATERAL (SELECT (search.low + search.high + 1) / 2 AS seq) AS half,
                             LATERAL (SELECT EXISTS (
                                 SELECT FROM message AS middle
                                 JOIN chat_log ON chat_log.chat_id = middle.chat_id
                                     AND chat_log.position = middle.position
                                 WHERE middle.chat_id = head.chat_id AND middle.seq = half.seq
                                     AND (chat_log.tx >= %(next_tx)s::bigint
                                          OR chat_log.tx = ANY (%(running)s::bigint[]))
                             ) AS is_new) AS found
                        WHERE search.low < search.high
                    )
                    SELECT min(search.high) FROM search
                )
            ) ELSE head.last_at END, chat.created_at) AS activity
        FROM profile_chat
        JOIN chat ON chat.chat_id = profile_chat.chat_id
        JOIN chat_head AS head ON head.chat_id = profile_chat.chat_id
        WHERE profile_chat.profile_id = %(reader)s AND profile_chat.left_at IS NULL AND chat.deleted_at IS NULL
    )
    SELECT chat_id, activity FROM own
    WHERE (activity, chat_id) < (%(at)s::timestamptz, %(id)s::uuid)
    ORDER BY activity DESC, chat_id DESC
    LIMIT %(most)s::bigint OFFSET %(skip)s::bigint
    """,
    {},
)
"""
The chats of a reader after a place, ordered by the activity that each chat had when the client read the first page.

For a chat with newer messages that is the time of the last message that existed then. Only one transaction at a time writes
to a chat, so the messages that existed then are the first ones, and a binary search finds the last of them. This stays
fast even if the first page was read long ago.
"""


def place_of_chat(place: ChatPlace) -> Mapping[str, Any]:
    """
    Returns the parameters of `CHATS_AFTER`.

    Raises:
        BadPlace: This storage did not issue the place.
    """
    try:
        began = Place.read(place.began)
    except ValueError:
        raise BadPlace from None
    return {
        "next_tx": began.next_tx,
        "running": sorted(began.running),
        "at": place.activity,
        "id": place.id,
    }


# By statistics of nearly empty chats, the index of marks looks as good as that of the profiles: only the order and the limit
# tell them apart.
_reading = (
    select(reading.c.mark)
    .where(
        reading.c.chat_id == member.c.chat_id,
        reading.c.profile_id >= member.c.profile_id,
        reading.c.profile_id <= member.c.profile_id,
    )
    .order_by(reading.c.profile_id)
    .limit(1)
    .correlate(member)
    .lateral("one_reading")
)
_member_columns = (member.c.profile_id, member.c.role, member.c.joined_at, _reading.c.mark)
_members = member.join(_reading, true())
_is_present = (member.c.chat_id == CHAT, member.c.left_at.is_(None))

MEMBER: Final = prepared(
    select(*_member_columns).select_from(_members).where(*_is_present, member.c.profile_id == ID)
)

MEMBERS_AFTER: Final = prepared(
    select(*_member_columns)
    .select_from(_members)
    .where(
        *_is_present,
        member.c.profile_id != FIRST,
        tuple_(member.c.joined_at, member.c.profile_id) > tuple_(AT, ID),
    )
    .order_by(member.c.joined_at, member.c.profile_id)
    .limit(MOST)
    .offset(SKIP)
)
"""The members of a chat in the order of joining, without ``first``, who leads the list."""


def place_of_reader(place: ReaderPlace | None) -> Mapping[str, Any]:
    return {"at": place.read_at if place else LONG_AGO, "id": place.id if place else LEAST_ID}


def reader_place(row: Row) -> ReaderPlace:
    return ReaderPlace(read_at=row["read_at"], id=ProfileId(row["profile_id"]))


def bounds(paging: Paging[Any]) -> Mapping[str, Any]:
    return {"most": paging.most, "skip": paging.skip}
