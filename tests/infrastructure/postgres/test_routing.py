"""The router of the tests is shown statements that it must refuse, and forms that it must understand."""

import pytest

from infrastructure.postgres.marking import KEEP as KEEP_MARKS
from infrastructure.postgres.posting import KEEP, KEEP_REMEMBERED, LOCK, READ
from tests.infrastructure.postgres.routing import Route, route

DIRECT = {
    "a parameter": "SELECT body FROM message WHERE chat_id = %s AND seq = %s",
    "a cast": "SELECT body FROM message WHERE chat_id = %(chat)s::uuid",
    "a list": "SELECT mark FROM reading WHERE chat_id IN (%s, %s)",
    "an array": "SELECT mark FROM reading WHERE chat_id = ANY(%s)",
    "pairs": "SELECT mark FROM reading WHERE (chat_id, profile_id) IN ((%s, %s), (%s, %s))",
    "rows of unnest": "SELECT r.mark FROM unnest(%s, %s) AS k(c, p) JOIN reading r ON r.chat_id = k.c",
    "a table with the same key": (
        "SELECT h.last_seq FROM chat c JOIN chat_head h ON h.chat_id = c.chat_id WHERE c.chat_id = %s"
    ),
    "an outer row": "SELECT EXISTS (SELECT FROM chat_log l WHERE l.chat_id = c.chat_id) FROM chat c WHERE c.chat_id = %s",
    "a query": "DELETE FROM message WHERE (chat_id, seq) IN (SELECT chat_id, seq FROM message WHERE chat_id = %s LIMIT 5)",
    "what another statement returned": (
        "WITH new AS (INSERT INTO chat_head (chat_id, last_seq) VALUES (%s, 0) RETURNING chat_id)"
        " INSERT INTO chat_log (chat_id, position) SELECT chat_id, 1 FROM new"
    ),
    "reference data": "SELECT base FROM origin WHERE id = 1",
    "locking": LOCK,
    "storing messages": KEEP,
    "storing marks": KEEP_MARKS,
}

NOWHERE = {
    "no condition": ("SELECT max(seq) FROM message", {"message"}),
    "another column": ("SELECT body FROM message WHERE message_id = %s", {"message"}),
    "a range": ("SELECT body FROM message WHERE chat_id > %s", {"message"}),
    "one of two": ("SELECT body FROM message WHERE chat_id = %s OR seq = %s", {"message"}),
    "a denial": ("SELECT body FROM message WHERE NOT chat_id = %s", {"message"}),
    "others than these": ("SELECT mark FROM reading WHERE chat_id NOT IN (%s, %s)", {"reading"}),
    "itself": ("SELECT body FROM message WHERE chat_id = chat_id", {"message"}),
    "a join without the key": (
        "SELECT s.body FROM chat c JOIN message s ON s.sender_id = c.owner_id WHERE c.chat_id = %s",
        {"message"},
    ),
    "a query of its own": (
        "SELECT (SELECT count(*) FROM message) FROM chat WHERE chat_id = %s",
        {"message"},
    ),
    "within an aggregate's query": (
        "SELECT * FROM (SELECT chat_id, count(*) FROM member GROUP BY chat_id) AS each",
        {"member"},
    ),
    "an insert of what was found": (
        "INSERT INTO chat_log (chat_id, position) SELECT chat_id, 1 FROM message",
        {"message", "chat_log"},
    ),
    "a change": ("UPDATE chat SET name = %s WHERE owner_id = %s", {"chat"}),
    "a removal": ("DELETE FROM member WHERE profile_id = %s", {"member"}),
    "one side of a union": (
        "SELECT body FROM (SELECT body FROM message WHERE chat_id = %s UNION ALL SELECT body FROM message) AS both_",
        {"message"},
    ),
}

FAULTY = {
    "a key that is set": "UPDATE chat SET chat_id = %s, name = %s WHERE chat_id = %s",
    "a key that is set again": (
        "INSERT INTO reading (chat_id, profile_id) VALUES (%s, %s)"
        " ON CONFLICT (chat_id, profile_id) DO UPDATE SET chat_id = excluded.chat_id"
    ),
    "a value from a query": "INSERT INTO reading (chat_id, tx) VALUES (%s, (SELECT base FROM origin))",
}


@pytest.mark.parametrize("statement", DIRECT.values(), ids=DIRECT)
def test_a_key_that_is_known(statement: str) -> None:
    assert route(statement).is_direct, route(statement)


@pytest.mark.parametrize(("statement", "tables"), NOWHERE.values(), ids=NOWHERE)
def test_a_key_that_nobody_knows(statement: str, tables: set[str]) -> None:
    found = route(statement)
    assert not found.is_direct
    assert found.nowhere == tables


@pytest.mark.parametrize("statement", FAULTY.values(), ids=FAULTY)
def test_what_a_divided_table_refuses(statement: str) -> None:
    assert route(statement).faults


def test_a_key_that_another_table_has() -> None:
    found = route(
        "SELECT c.name FROM profile_chat p JOIN chat c ON c.chat_id = p.chat_id WHERE p.profile_id = %s"
    )
    assert found == Route(
        direct=frozenset({"profile_chat"}),
        later=frozenset({"chat"}),
        nowhere=frozenset(),
        faults=frozenset(),
    )


def test_keys_of_two_kinds() -> None:
    found = route(READ)
    assert found.direct == {"chat", "member", "message", "profile"}
    assert not found.is_direct
    by_memory = route(KEEP_REMEMBERED)
    assert by_memory == Route(
        direct=frozenset({"chat_head", "chat_log", "member", "message", "profile", "reading"}),
        later=frozenset(),
        nowhere=frozenset(),
        faults=frozenset(),
    )
    assert not by_memory.is_direct
