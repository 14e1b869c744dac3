"""
After people have signed up, in and out, forgotten and changed passwords and been refused, nothing that the messenger keeps
or says holds a password, a token or a link of a letter. The exceptions are LOCAL's: the mailbox folder, and the lines that
show its links on the terminal.
"""

import base64
import re
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
from psycopg import sql

from tests.system.client import Device, Visit, data
from tests.system.server import Server

EMAIL = "marked@example.com"
PASSWORDS = ["Marked-4711-first", "Marked-4712-second", "Marked-4713-Третий"]
WRONG = ["Marked-4714-wrong", "Marked-4715-unfit\0", "marked-4716-common"]


def token_of(letter: EmailMessage, page: str) -> str:
    body = letter.get_body(("plain",))
    assert body is not None
    found = re.search(rf"/{page}\?token=([\w.-]+)", body.get_content())
    assert found is not None, body.get_content()
    return found[1]


def reset_letter(server: Server) -> EmailMessage:
    """After one that asked to confirm, one about a new device perhaps, and one about the password."""
    number = 1
    while "new password" not in (letter := server.await_letter(EMAIL, number=number))["Subject"]:
        number += 1
    return letter


def spellings(secret: str) -> set[bytes]:
    """The forms that a secret would have in a log, a dump or a file."""
    raw = secret.encode()
    return {raw, repr(secret)[1:-1].encode(), quote(secret).encode(), quote_plus(secret).encode()} | {
        base64.b64encode(raw).rstrip(b"="),
        raw.hex().encode(),
    }


def dumped(server: Server) -> bytes:
    """Every row of every table, as text and as JSON."""
    with server.database() as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchall()
        assert len(tables) > 10
        rows: list[tuple[Any, ...]] = []
        for (table,) in tables:
            query = sql.SQL("SELECT t::text, to_jsonb(t)::text FROM {} AS t").format(sql.Identifier(table))
            rows += connection.execute(query).fetchall()
    return "\n".join(str(part) for row in rows for part in row).encode()


def files(folder: Path, *, apart_from: Path) -> Iterator[tuple[Path, bytes]]:
    """The database's own files and its write-ahead log among them."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_relative_to(apart_from):
            yield path, path.read_bytes()


class Collected(list[str]):
    """Everything secret that went over the wire, in either direction."""

    def of(self, device: Device) -> Device:
        self += [device.token, device.refresh_token]
        return device

    def of_answer(self, answer: httpx.Response) -> httpx.Response:
        self.extend(re.findall(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", answer.text + str(answer.headers)))
        return answer


async def live(server: Server, visit: Visit, secrets: Collected) -> None:
    http = await visit.anonymous()
    for password in PASSWORDS[:1] + WRONG[1:]:
        await http.post("/accounts/sign-up/", json={"email": EMAIL, "password": password})
    letter = server.await_letter(EMAIL)
    secrets.append(token_of(letter, "confirm-email"))
    body = {"confirmationToken": secrets[-1], "fingerprint": "one"}
    for _ in range(2):  # the second time it is refused
        secrets.of_answer(await http.post("/accounts/email/confirm/", json=body))
    first = secrets.of(await visit.sign_in(EMAIL, "one", password=PASSWORDS[0]))
    for password in WRONG:
        await http.post("/accounts/sign-in/", json={"email": EMAIL, "password": password})
        await http.post("/accounts/sign-in/swagger/", data={"username": EMAIL, "password": password})
        await first.http.request("DELETE", "/accounts/me/", json={"password": password})
        await first.http.post("/accounts/password/set/", json={"password": [password]})
        await http.get("/accounts/me/", headers={"Authorization": f"Bearer {password[:16]}"})
    refreshed = await first.http.post("/accounts/token/refresh/", json={"fingerprint": "one"})
    first.http.headers["Authorization"] = f"Bearer {data(secrets.of_answer(refreshed))['accessToken']}"
    data(await first.http.post("/accounts/password/set/", json={"password": PASSWORDS[1]}))
    data(await http.post("/accounts/password/reset/", json={"email": EMAIL}))
    secrets.append(token_of(reset_letter(server), "setup-new-password"))
    redeem = {"confirmationToken": secrets[-1], "fingerprint": "two"}
    answer = secrets.of_answer(await http.post("/accounts/token/redeem/", json=redeem))
    bearer = {"Authorization": f"Bearer {data(answer)['accessToken']}"}
    data(await http.post("/accounts/password/set/", json={"password": PASSWORDS[2]}, headers=bearer))
    second = secrets.of(await visit.sign_in(EMAIL, "two", password=PASSWORDS[2]))
    chat_id = await second.create_chat("A chat")
    await second.open(chat_id)
    # What no route and no socket takes is refused before anything looks at it; it must not end up in a log either.
    await http.get(f"/nowhere/?token={secrets[0]}")
    await http.get(f"/accounts/email/status/?email={PASSWORDS[0]}")
    await http.get(f"/setup-new-password?token={secrets[0]}")
    data(await second.http.post("/accounts/sign-out/"))


async def test_nothing_secret_is_kept_or_said(make_server: Callable[..., Server]) -> None:
    """At the level that says most: the others say some of the same lines."""
    server = make_server(settings={"LOG_LEVEL": "DEBUG"}, is_empty=True)
    server.start()
    secrets = Collected()
    async with Visit(server.url, server.ws_url) as visit:
        await live(server, visit, secrets)
        rows = dumped(server)
    assert b"marked@example.com" in rows, "what is looked for would be found"
    server.interrupt()
    log = "\n".join(
        line for line in server.log().splitlines() if not re.match(r"\S+@\S+: http\S+\?token=\S+$", line)
    )
    assert "?token=" in server.log(), "LOCAL shows the links, and nothing else does"
    places = [
        (Path("the log"), log.encode()),
        (Path("the rows"), rows),
        *files(server.var, apart_from=server.var / "mail"),
    ]
    assert len(places) > 50
    wanted = {each for secret in (*PASSWORDS, *WRONG, *secrets) for each in spellings(secret)}
    # A token is unknown without its signature: that part alone is looked for as well.
    wanted |= {secret.rpartition(".")[2].encode() for secret in secrets}
    wanted -= {each for each in wanted if len(each) < 12}
    found = {(str(path), each) for path, content in places for each in wanted if each in content}
    assert found == set()
    assert len(secrets) > 8
