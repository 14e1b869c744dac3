"""A database that an earlier version filled is migrated at the start of this one, and served as it was."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
from argon2 import PasswordHasher
from sqlalchemy import create_engine, make_url

from infrastructure.postgres.schema.migrate import newest_revision, upgrade
from tests.postgres import PostgresServer
from tests.system.client import Visit, data
from tests.system.server import Server
from tests.system.test_commands import PASSWORD, Line, done

BEFORE = "0006"
"""The earlier version's revision. The statements below fit its tables, so it stays as it is when newer revisions follow."""

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANNA, BORIS, CHAT = UUID(int=0xA), UUID(int=0xB), UUID(int=0xC)
TEXTS = ["Привет", "How are you?", "Fine"]

PERSON = """
INSERT INTO account (account_id, email, password_hash, created_at, confirmed_at)
VALUES (%(id)s, %(name)s || '@example.com', %(password)s, %(at)s, %(at)s);
INSERT INTO account_by_email (email_folded, account_id) VALUES (%(name)s || '@example.com', %(id)s);
INSERT INTO profile (profile_id, account_id, first_name, username, username_folded)
VALUES (%(id)s, %(id)s, %(name)s, %(name)s, %(name)s);
INSERT INTO profile_of_account (account_id, profile_id) VALUES (%(id)s, %(id)s);
INSERT INTO profile_by_username (username_folded, profile_id) VALUES (%(name)s, %(id)s);
INSERT INTO profile_head (profile_id, last_position, first_position, tx) VALUES (%(id)s, 1, 1, %(tx)s);
INSERT INTO profile_log (profile_id, position, kind, chat_id, payload, tx)
VALUES (%(id)s, 1, 1, %(chat)s, '{"v": 1}', %(tx)s);
INSERT INTO profile_chat (profile_id, chat_id, joined_at) VALUES (%(id)s, %(chat)s, %(at)s);
INSERT INTO member (chat_id, profile_id, role, joined_at, tx) VALUES (%(chat)s, %(id)s, %(role)s, %(at)s, %(tx)s);
INSERT INTO reading (chat_id, profile_id, mark, less, tx) VALUES (%(chat)s, %(id)s, %(mark)s, %(less)s, %(tx)s);
"""

GROUP = """
INSERT INTO chat (chat_id, kind, name, owner_id, created_at, updated_at)
VALUES (%(chat)s, 'group', 'Old friends', %(anna)s, %(at)s, %(at)s);
INSERT INTO chat_head (chat_id, last_seq, last_position, first_position, last_at, member_count, tx)
VALUES (%(chat)s, 3, 3, 1, %(last)s, 2, %(tx)s);
INSERT INTO receipt (chat_id, profile_id, from_seq, to_seq, read_at, tx)
VALUES (%(chat)s, %(boris)s, 1, 1, %(last)s, %(tx)s);
"""

SAID = """
INSERT INTO message (chat_id, seq, message_id, position, sender_id, nonce, body, sent_at)
VALUES (%(chat)s, %(seq)s, %(id)s, %(seq)s, %(anna)s, %(nonce)s, %(body)s, %(sent)s);
INSERT INTO chat_log (chat_id, position, kind, seq, tx) VALUES (%(chat)s, %(seq)s, 1, %(seq)s, %(tx)s);
"""


def fill(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """A group in which Anna has written three messages, of which Boris has read the first."""
    (tx,) = connection.execute("SELECT pg_current_xact_id()::text::bigint").fetchone() or (0,)
    known = {
        "at": AT,
        "last": AT + timedelta(minutes=3),
        "tx": tx,
        "chat": CHAT,
        "anna": ANNA,
        "boris": BORIS,
    }
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    cursor = psycopg.ClientCursor(connection)
    cursor.execute(GROUP, known)
    for id, name, role, mark, less in ((ANNA, "anna", "owner", 3, 0), (BORIS, "boris", "member", 1, 0)):
        cursor.execute(
            PERSON,
            known | {"id": id, "name": name, "password": hashed, "role": role, "mark": mark, "less": less},
        )
    for seq, body in enumerate(TEXTS, 1):
        said = {"seq": seq, "id": UUID(int=seq), "nonce": f"c:n{seq}", "body": body}
        cursor.execute(SAID, known | said | {"sent": AT + timedelta(minutes=seq)})


async def test_what_was_there_before_an_upgrade_is_there_after_it(
    make_server: Callable[..., Server], postgres_server: PostgresServer, fresh_database: str
) -> None:
    engine = create_engine(fresh_database)
    with engine.begin() as connection:
        upgrade(connection, BEFORE)
    engine.dispose()
    with postgres_server.connect(make_url(fresh_database).database or "") as beside, beside.transaction():
        fill(beside)

    server = make_server(settings={"DATABASE_URL": fresh_database})
    server.start()
    with postgres_server.connect(make_url(fresh_database).database or "") as beside:
        assert beside.execute("SELECT version_num FROM alembic_version").fetchall() == [(newest_revision(),)]
    async with Visit(server.url, server.ws_url) as visit:
        anna = await visit.sign_in("anna@example.com", password=PASSWORD)
        boris = await visit.sign_in("boris@example.com", password=PASSWORD)
        assert (anna.profile_id, boris.profile_id) == (str(ANNA), str(BORIS))
        chat = data(await boris.http.get(f"/chats/{CHAT}/"))
        assert (chat["name"], chat["unreadCount"], chat["readUpTo"]) == ("Old friends", 2, 1)
        found = await boris.history(str(CHAT))
        assert [(message["seq"], message["text"]) for message in found] == list(enumerate(TEXTS, 1))
        assert {message["sender"]["username"] for message in found} == {"anna"}
        assert [message["readAt"] is not None for message in await anna.history(str(CHAT))] == [
            True,
            False,
            False,
        ]
        async with boris.dial(str(CHAT)) as hears, anna.dial(str(CHAT)) as says:
            # A message from before the upgrade is recognised when it is sent again.
            await says.send("send_message", text=TEXTS[2], nonce="n3")
            again = await says.expect("message_ack", nonce="n3", duplicate=True)
            assert again["id"] == str(UUID(int=3))
            new = await says.say("After the upgrade")
            assert new["message"]["seq"] == 4
            assert (await hears.next())["message"]["id"] == new["message"]["id"]
        people = data(await anna.http.get("/profiles/", params={"query": "bor"}))
        assert [person["id"] for person in people] == [str(BORIS)]
    checked = await asyncio.to_thread(Line(server.folder), "db", "check", DATABASE_URL=fresh_database)
    assert "Everything is consistent" in done(checked)
