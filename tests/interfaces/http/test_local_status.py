"""What a messenger for trying out shows of itself, and to whom."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from attrs import frozen
from starlette.applications import Starlette

from config.local import is_alone
from config.settings.groups import Api, Settings
from config.settings.readers import Environment
from infrastructure.smtp.reading import LetterFolder
from interfaces.http.options import HttpOptions
from interfaces.http.pages import source
from interfaces.web.site import WebClient
from interfaces.web.status import Local, Person, WrittenLetter

LETTER = WrittenLetter(
    "20260102-a",
    "new@example.com",
    "Confirm",
    "http://localhost/confirm?token=t",
    datetime(2026, 1, 2, tzinfo=UTC),
)
PATHS = (
    "/app/status",
    "/app/letters",
    "/app/status/letters/20260102-a",
    "/app/status/letters/20260102-a/html",
)


@frozen
class OneLetter:
    def newest(self) -> Sequence[WrittenLetter]:
        return [LETTER]

    def html(self, name: str) -> str | None:
        if name != LETTER.name:
            return None
        return '<html>\n<head>\n</head>\n<body style="margin: 0"><a href="http://localhost/confirm?token=t">go</a></body></html>'


async def well() -> None:
    pass


async def unwell() -> None:
    raise OSError("with a secret in it")


LOCAL = Local(
    letters=OneLetter(),
    about={"environment": "LOCAL", "version": "1.2.3"},
    checks={"database": well, "disk": unwell},
    people=[Person("anna@example.com", "Анна <b>")],
    password="admin",  # everybody knows it
)


def client(local: Local | None = LOCAL, *, host: str = "localhost") -> httpx.AsyncClient:
    site = WebClient(HttpOptions(local_status=local is not None), local)
    transport = httpx.ASGITransport(Starlette(routes=site.routes()))
    return httpx.AsyncClient(transport=transport, base_url=f"http://{host}", follow_redirects=True)


async def test_the_page_says_how_the_messenger_is() -> None:
    answer = await client().get("/app/status")
    assert answer.headers["Cache-Control"] == "no-store"
    text = answer.text
    for shown in ("LOCAL", "1.2.3", "Анна &lt;b&gt;", "<code>admin</code>", "new@example.com"):
        assert shown in text
    assert re.findall(r'<dt>([\w ]+)</dt><dd class="(\w+)">', text) == [
        ("the database answers", "well"),
        ("the disk has room", "unwell"),
    ]
    assert "secret" not in text
    assert 'href="/app/status/letters/20260102-a"' in text
    assert 'aria-current="page">Status</a>' in text


async def test_a_letter_is_a_page_with_the_letter_in_a_frame() -> None:
    async with client() as http:
        page = await http.get("/app/status/letters/20260102-a")
        assert 'href="http://localhost/confirm?token=t"' in page.text
        assert "frame-src 'self'" in page.headers["Content-Security-Policy"]
        assert page.headers["Cache-Control"] == "no-store"
        (frame,) = re.findall(r'<iframe src="([^"]+)"', page.text)
        letter = await http.get(frame)
        assert (await http.get("/app/status/letters/other")).status_code == 404
        assert (await http.get("/app/status/letters/other/html")).status_code == 404
    policy = letter.headers["Content-Security-Policy"]
    assert f"style-src 'unsafe-hashes' {source('margin: 0')}" in policy
    assert "sandbox allow-top-navigation-by-user-activation" in policy
    assert "script" not in policy
    assert letter.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert '<base target="_top">' in letter.text


async def test_the_web_client_gets_the_letters_as_data() -> None:
    (shown,) = (await client().get("/app/letters")).json()["data"]
    assert shown == {
        "name": "20260102-a",
        "to": "new@example.com",
        "subject": "Confirm",
        "link": "http://localhost/confirm?token=t",
        "written": "2026-01-02T00:00:00",
    }


@pytest.mark.parametrize("path", PATHS)
async def test_nobody_else_sees_it(path: str) -> None:
    assert (await client().get(path)).status_code == 200
    assert (await client(host="rebound.example").get(path)).status_code == 404
    assert (await client(local=None).get(path)).status_code == 404
    page = (await client(local=None).get("/app/")).text
    assert 'data-letters=""' in page
    assert 'data-status=""' in page


@pytest.mark.parametrize("path", PATHS[1:])
async def test_letters_that_are_sent_are_not_shown(path: str) -> None:
    local = Local(about={"environment": "LOCAL"})
    assert (await client(local).get(path)).status_code == 404
    assert "Letters are sent by mail." in (await client(local).get("/app/status")).text


@pytest.mark.parametrize(
    ("environment", "host", "expected"),
    [
        (Environment.LOCAL, "127.0.0.1", True),
        (Environment.LOCAL, "0.0.0.0", False),  # nothing listens
        (Environment.LOCAL, "192.0.2.1", False),
        (Environment.DEV, "127.0.0.1", False),
        (Environment.PROD, "127.0.0.1", False),
    ],
)
def test_it_is_there_only_where_the_messenger_is_tried_out(
    environment: Environment, host: str, *, expected: bool
) -> None:
    assert is_alone(Settings(environment=environment, api=Api(host=host))) is expected


def test_letters_of_a_folder(tmp_path: Path) -> None:
    assert LetterFolder(tmp_path / "none").newest() == []
    for number in range(3):
        text = f"To: a{number}@example.com\nSubject: =?utf-8?b?0J/RgNC40LLQtdGC?=\n\nhttp://localhost:1/c?token=a.b-{number}\n"
        (tmp_path / f"{number}.eml").write_text(
            text if number else "To: a0@example.com\nSubject: none\n\nno link & no <b>\n"
        )
    folder = LetterFolder(tmp_path)
    assert {each.name: (each.to, each.link) for each in folder.newest()} == {
        "0": ("a0@example.com", None),
        "1": ("a1@example.com", "http://localhost:1/c?token=a.b-1"),
        "2": ("a2@example.com", "http://localhost:1/c?token=a.b-2"),
    }
    assert len(folder.newest(most=2)) == 2
    assert "no link &amp; no &lt;b&gt;" in str(folder.html("0"))
    (tmp_path.parent / "outside.eml").write_text("To: x\n\nsecret\n")
    assert folder.html("../outside") is None
    assert folder.html("3") is None
