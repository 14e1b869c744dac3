"""A database of the original moves in, as its operator does it: by the command line, and people sign in as before."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.original import PASSWORD, OriginalPlace
from tests.postgres import PostgresServer
from tests.system.server import Server
from tests.system.test_commands import Line, done


@pytest.fixture
def databases(postgres_server: PostgresServer) -> Iterator[tuple[str, str]]:
    """The original's, and one for us."""
    names = postgres_server.fresh_database(), postgres_server.fresh_database()
    yield names
    for name in names:
        postgres_server.drop_database(name)


def test_people_of_the_original_go_on_here(
    postgres_server: PostgresServer, databases: tuple[str, str], tmp_path: Path
) -> None:
    theirs, ours = databases
    settings = {"DATABASE_URL": postgres_server.url(ours)}
    line = Line(tmp_path, settings)
    with postgres_server.connect(theirs) as connection:
        old = OriginalPlace(connection)
        old.person("Ann")
        old.person("Bob")
        talk = old.chat("Talk", "Ann", "Ann", "Bob")
        said = [old.say(talk, "Ann", f"Hello {number}") for number in range(3)]
        old.read("Bob", said[0])
        source = postgres_server.url(theirs)
        assert "2 new people, 1 new chats, 3 new messages and 1 new read marks" in done(
            line("db", "import", source)
        )
        said.append(old.say(talk, "Ann", "the last one"))
    told = done(line("db", "import", source.replace("postgresql+psycopg", "postgresql+asyncpg")))
    assert "0 new people, 0 new chats, 1 new messages and 0 new read marks" in told
    assert "Everything is consistent" in done(line("db", "check"))

    server = Server(folder=tmp_path, settings=settings)
    server.start()
    try:
        with httpx.Client(base_url=server.url) as http:
            for name, unread in (("Ann", 0), ("Bob", 4)):
                body = {"email": f"{name.lower()}@example.com", "password": PASSWORD, "fingerprint": "device"}
                signed_in = http.post("/accounts/sign-in/", json=body)
                assert signed_in.status_code == 200, signed_in.text
                headers = {"Authorization": f"Bearer {signed_in.json()['data']['accessToken']}"}
                chats = http.get("/chats/", headers=headers).json()["data"]
                mine = next(chat for chat in chats if chat["id"] == str(talk))
                assert (mine["name"], mine["unreadCount"]) == ("Talk", unread)
                page = http.get(f"/chats/{talk}/history/", headers=headers).json()["data"]
                assert [message["id"] for message in page["entities"]] == [str(id) for id in said]
                assert page["entities"][0]["readAt"] is not None
                sent = http.post(f"/chats/{talk}/messages/", json={"text": "Still here"}, headers=headers)
                said.append(sent.json()["data"]["id"])
    finally:
        server.interrupt()


def test_what_is_no_original_is_refused_in_one_line(
    postgres_server: PostgresServer, databases: tuple[str, str], tmp_path: Path
) -> None:
    empty, ours = databases
    line = Line(tmp_path, {"DATABASE_URL": postgres_server.url(ours)})
    for source, says in (
        (postgres_server.url(empty), "no database of the original messenger"),
        ("nonsense", "not the URL of a PostgreSQL database"),
        ("mysql://somewhere/x", "not the URL of a PostgreSQL database"),
        ("postgresql://127.0.0.1:1/x", "The source cannot be read: connection failed"),
    ):
        refused = line("db", "import", source)
        assert refused.returncode != 0
        assert "Traceback" not in refused.stderr
        (told,) = refused.stderr.splitlines()
        assert says in told
