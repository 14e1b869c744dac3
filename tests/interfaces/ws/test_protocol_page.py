"""`docs/protocol.md` names exactly the frames, fields, codes and reasons that there are. Close codes: `test_tables`."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from application.errors import NotAuthenticated, OutcomeUnknown, Overloaded, Unavailable
from application.messages.send import NonceReused
from application.ports.limiter import Allowance, TooManyRequests
from application.ports.tokens import SessionToken, SessionTokenType
from application.views import MessageView
from domain.chat_errors import ChatNotFound, NotAMember, TooFrequent
from domain.message import BODY_LIMIT
from domain.scope import ScopeMissing
from infrastructure.crypto.tokens import JwtTokens
from interfaces.wire import frames
from interfaces.wire.reasons import Reset
from interfaces.ws import chat_frames
from interfaces.ws.connection import Connection
from tests.interfaces.live.ear import GREETING, Ear
from tests.interfaces.ws.every_frame import AT, of_one_chat
from tests.interfaces.ws.recording import recording
from tests.interfaces.ws.test_connection import ANN, CHAT, is_open, posted

PAGE: Final = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text()


def table(head: str, *, below: str = "## The socket of one chat") -> dict[str, str]:
    """The rows of the first table that begins with this head below a text, by what is in the first cell."""
    _, _, rest = PAGE.partition(below)[2].partition(f"\n| {head} |")
    assert rest, f"there is no table of {head}"
    rows = rest.partition("\n\n")[0].splitlines()[2:]
    return {first.strip(): others for first, _, others in (row.strip("| ").partition("|") for row in rows)}


def names(cells: str) -> set[str]:
    """The names in backquotes; those that may be missing are in brackets."""
    return set(re.findall(r"\[?`[a-z_]+`\]?", cells))


def documented(head: str) -> dict[str, set[str]]:
    return {first.strip("`"): names(cells) for first, cells in table(head).items()}


def codes(head: str, *, below: str = "## The socket of one chat") -> set[str]:
    return {code.strip("`") for first in table(head, below=below) for code in names(first)}


def bare(fields: set[str]) -> set[str]:
    return {each.strip("[]`") for each in fields}


def test_every_frame_of_the_server_is_there_with_its_fields() -> None:
    sent = [orjson.loads(frame.text) for frame in of_one_chat()]
    written = {kind: bare(fields) for kind, fields in documented("the server sends").items()}
    assert {frame.pop("type"): set(frame) for frame in sent} == written


def test_the_parts_of_frames_are_there_with_their_fields() -> None:
    parts = documented("within frames")
    event = posted(nonce="n")
    view = MessageView(message=event.message, position=event.position, sender=ANN.profile)
    assert bare(parts["a message"]) == set(frames.message_fields(view))
    person = next(fields for first, fields in parts.items() if first.startswith("a person"))
    assert bare(person) == set(frames.profile_fields(ANN.profile))
    assert bare(parts["limits"]) == set(GREETING["limits"])


def test_every_frame_of_the_client_is_there_with_its_fields() -> None:
    written = {kind: bare(fields) for kind, fields in documented("the client sends").items()}
    since = recording(epoch="e", position=1)
    greeting = recording(type="auth", token="t", since=since)
    Ear().connection(CHAT)._hear_greeting(greeting)
    assert written.pop("auth") == (greeting.read | since.read) - {"type"}
    found = {}
    for kind in chat_frames.READERS:
        frame = recording(type=kind, text="a")
        chat_frames.read_request(CHAT, frame)
        found[kind] = frame.read - {"type"}
    assert found == written


def test_reasons_for_a_reset() -> None:
    assert codes("reset reason | meaning") == {reason.value for reason in Reset}


TOKENS: Final = JwtTokens("k" * 32, "messenger", "messenger")
HOUR: Final = timedelta(hours=1)

TOO_LATE: Final = "auth_timeout"
"""What `Exchange` refuses with when no `auth` came in time; `test_serving` sees it."""


def token(kind: SessionTokenType, lifetime: timedelta) -> str:
    return TOKENS.sign(
        SessionToken(
            type=kind,
            account_id=ANN.account_id,
            email=ANN.email,
            session_id=ANN.session_id,
            token_id="t",
            issued_at=AT,
            expires_at=AT + lifetime,
        )
    )


def refuse_token(text: str, connection: Connection) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        TOKENS.read_access(text, at=AT + HOUR)
    connection.refuse(refused.value)


def test_codes_of_a_refused_entry() -> None:
    seen: list[dict[str, Any]] = []

    def refuse(by: Callable[[Connection], object], actor: Any = ANN) -> None:
        ear = Ear()
        by(ear.connection(CHAT, actor))
        seen.extend(ear.frames)

    refuse(lambda connection: connection.refuse(NotAMember()))
    refuse(lambda connection: connection.refuse(ChatNotFound()))
    for text in (
        "garbage",
        token(SessionTokenType.ACCESS, HOUR),
        token(SessionTokenType.REFRESH, 2 * HOUR),
    ):
        refuse(partial(refuse_token, text))
    refuse(lambda connection: connection.hear("nothing"), actor=None)
    refuse(lambda connection: connection.refuse_entry(TOO_LATE), actor=None)
    assert {frame["code"] for frame in seen} == codes("code | meaning", below="A refused `auth`")


def refused_frames() -> Iterator[dict[str, Any]]:
    connection, ear = is_open()
    nonce = "n"
    for error in (
        OutcomeUnknown(),
        Overloaded(),
        Unavailable(),
        NonceReused(posted(nonce=nonce)),
        TooFrequent(1.0),
        TooManyRequests(1.0, Allowance("send", 1, timedelta(minutes=1))),
        NotAMember(),
        ChatNotFound(),
        ScopeMissing(),
    ):
        sending: Any = connection.hear(
            orjson.dumps({"type": "send_message", "text": "a", "nonce": nonce}).decode()
        )
        connection.answer_not_sent(sending, error)
    for said in (
        {"type": "nothing"},
        {"type": "send_message", "text": "", "nonce": nonce},
        {"type": "send_message", "text": "a" * (BODY_LIMIT + 1)},
        {"type": "send_message", "text": "\0"},
        {"type": "send_message", "text": "a", "nonce": ""},
        {"type": "send_message", "text": 1},
    ):
        connection.hear(orjson.dumps(said).decode())
    yield from ear.frames


def test_codes_and_fields_of_refused_frames() -> None:
    refused = list(refused_frames())
    assert {frame["type"] for frame in refused} == {"error"}
    assert {frame["code"] for frame in refused} == codes("code | stored?")
    fields = documented("the server sends")["error"]
    present = [set(frame) - {"type"} for frame in refused]
    always = set.intersection(*present)
    assert {f"`{name}`" for name in always} == {each for each in fields if not each.startswith("[")}
    assert set.union(*present) == bare(fields)
