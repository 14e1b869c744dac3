"""A small client that knows only what PROTOCOL says: a signed-in device over HTTP, and its sockets."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from email.message import EmailMessage
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from attrs import define, field, frozen
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close

Frame = dict[str, Any]

PATIENCE = 50.0
"""Seconds after which something hangs. No test depends on how soon anything comes: the machine may be busy."""

PASSWORD = "admin"


def data(response: httpx.Response) -> Any:
    """What is inside the envelope of a success."""
    body = response.json()
    assert response.status_code == httpx.codes.OK, body
    assert body["status"] == "success"
    assert body.keys() == {"status", "data"}
    return body["data"]


def error(response: httpx.Response) -> tuple[int, str, str]:
    """Status, code and message of a refusal."""
    body = response.json()
    assert body["status"] == "error"
    return response.status_code, body["error"]["code"], body["error"]["message"]


PRESENCE = {"user_joined", "user_left", "user_disconnected"}


@define(eq=False)
class ChatSocket:
    """
    One open socket. Frames are taken from it in the order they came, and kept in ``seen``.

    Who comes and goes is passed over, and kept in ``presence``: most tests are not about it.
    """

    connection: ClientConnection
    seen: list[Frame] = field(factory=list)
    presence: list[Frame] = field(factory=list)
    minds_presence: bool = False
    """Takes them like any other frame."""

    async def send(self, kind: str, **fields: Any) -> None:
        await self.send_raw(json.dumps({"type": kind, **fields}))

    async def send_raw(self, frame: str | bytes) -> None:
        await self.connection.send(frame)

    async def next(self, within: float = PATIENCE) -> Frame:
        """The frame after the last one taken. Raises `TimeoutError` and `ConnectionClosed`."""
        async with asyncio.timeout(within):
            while True:
                text = await self.connection.recv()
                assert isinstance(text, str)
                frame: Frame = json.loads(text)
                if self.minds_presence or frame["type"] not in PRESENCE:
                    self.seen.append(frame)
                    return frame
                self.presence.append(frame)

    async def expect(self, kind: str, **fields: Any) -> Frame:
        """The next frame, which must be this one."""
        return await self.expect_within(PATIENCE, kind, **fields)

    async def expect_within(self, seconds: float, kind: str, **fields: Any) -> Frame:
        frame = await self.next(seconds)
        assert frame["type"] == kind, frame
        assert {name: frame.get(name) for name in fields} == fields
        return frame

    async def until(self, kind: str, within: float = PATIENCE, **fields: Any) -> Frame:
        """The first frame of this kind, with these values, passing over others."""
        async with asyncio.timeout(within):
            while True:
                frame = await self.next(within)
                if frame["type"] == kind and all(frame.get(name) == value for name, value in fields.items()):
                    return frame

    async def until_any(self, *kinds: str, within: float = PATIENCE) -> Frame:
        """The first frame of one of these kinds, passing over others."""
        async with asyncio.timeout(within):
            while True:
                if (frame := await self.next(within))["type"] in kinds:
                    return frame

    async def heard(self, message_id: str) -> Frame:
        """The `new_message` of this message, whether it has come already or comes soon."""
        for frame in self.seen:
            if frame["type"] == "new_message" and frame["message"]["id"] == message_id:
                return frame
        while (frame := await self.until("new_message"))["message"]["id"] != message_id:
            pass
        return frame

    async def take(self, kind: str, count: int, within: float = PATIENCE) -> list[Frame]:
        """The next ``count`` frames of this kind, passing over others."""
        async with asyncio.timeout(within):
            return [await self.until(kind, within) for _ in range(count)]

    async def settle(self) -> list[Frame]:
        """
        All frames up to now: those before the answer to a question that is asked now, since what one socket asks is
        answered in order. No waiting for silence.
        """
        await self.send("get_unread_count")
        before = len(self.seen)
        await self.until("unread_count")
        return self.seen[before:-1]

    async def say(self, text: str, nonce: str | None = None) -> Frame:
        """Sends a message and returns its own `new_message`."""
        extra = {} if nonce is None else {"nonce": nonce}
        await self.send("send_message", text=text, **extra)
        while True:
            frame = await self.until("new_message")
            if frame["message"]["text"] == text.strip():
                return frame

    async def closed(self, within: float = PATIENCE) -> tuple[int, str]:
        """Takes what still comes and returns the code and the reason of the server's close."""
        said: Close | None = None
        try:
            async with asyncio.timeout(within):
                while True:
                    await self.next(within)
        except ConnectionClosed as ended:
            said = ended.rcvd
        assert said is not None, "cut without a close frame"
        return said.code, said.reason

    async def close(self) -> None:
        await self.connection.close()


@asynccontextmanager
async def dial(
    ws_url: str, chat_id: str, *, receive_buffer: int | None = None, **options: Any
) -> AsyncIterator[ChatSocket]:
    """
    An open socket that has not said who it is. With ``receive_buffer`` (bytes) it stops reading when it is not asked for
    frames, as a slow client would.
    """
    url = f"{ws_url}/chats/{chat_id}/ws"
    if receive_buffer is not None:
        address = urlsplit(ws_url)
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, (address.hostname, address.port))
        options |= {"sock": raw, "max_queue": 1, "compression": None, "ping_interval": None}
    else:
        options.setdefault("max_queue", None)
    async with connect(url, max_size=None, proxy=None, **options) as connection:
        yield ChatSocket(connection)


@define(eq=False)
class Device:
    """A person signed in on one device: a session, its access token, its refresh cookie."""

    ws_url: str
    http: httpx.AsyncClient
    email: str
    fingerprint: str
    token: str
    account_id: str
    profile_id: str
    sockets: AsyncExitStack

    @property
    def refresh_token(self) -> str:
        return self.http.cookies["refresh_token"].strip('"')

    @asynccontextmanager
    async def connect(self, chat_id: str, **options: Any) -> AsyncIterator[ChatSocket]:
        """A socket that has said nothing yet."""
        async with dial(self.ws_url, chat_id, **options) as opened:
            yield opened

    @asynccontextmanager
    async def dial(self, chat_id: str, **options: Any) -> AsyncIterator[ChatSocket]:
        """A socket that has been let in: `auth_success` and `chat_history` are what it has seen."""
        async with dial(self.ws_url, chat_id, **options) as opened:
            await opened.send("auth", token=self.token)
            await opened.expect("auth_success", chat_id=chat_id, user_id=self.profile_id)
            await opened.expect("chat_history")
            yield opened

    async def open(self, chat_id: str, **options: Any) -> ChatSocket:
        """`dial`, until the test ends."""
        return await self.sockets.enter_async_context(self.dial(chat_id, **options))

    async def create_chat(self, name: str, *others: "Device") -> str:
        members = [other.profile_id for other in others]
        made = data(await self.http.post("/chats/", json={"name": name, "members": members}))
        return str(made["id"])

    async def history(self, chat_id: str) -> list[dict[str, Any]]:
        """All of it, in order, page by page."""
        found: list[dict[str, Any]] = []
        before: dict[str, int] = {}
        while True:
            page = data(await self.http.get(f"/chats/{chat_id}/history/", params={"limit": 200, **before}))
            found = page["entities"] + found
            if len(page["entities"]) < 200:
                assert page["totalCount"] == len(found)
                return found
            before = {"before": found[0]["seq"]}


@define(eq=False)
class Visit:
    """The people who use one server during a test. Closes everything that they opened at its end."""

    url: str
    ws_url: str
    _stack: AsyncExitStack = field(factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        await self._stack.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> None:
        await self._stack.__aexit__(*raised)

    async def anonymous(self) -> httpx.AsyncClient:
        http = httpx.AsyncClient(base_url=self.url, timeout=PATIENCE)
        await self._stack.enter_async_context(http)
        return http

    async def sign_in(self, email: str, device: str = "one", *, password: str = PASSWORD) -> Device:
        http = await self.anonymous()
        body = {"email": email, "password": password, "fingerprint": device}
        answer = data(await http.post("/accounts/sign-in/", json=body))
        return await self.admit(http, email, device, answer["accessToken"])

    async def admit(self, http: httpx.AsyncClient, email: str, device: str, token: str) -> Device:
        """The device whose tokens ``http`` has just been given."""
        http.headers["Authorization"] = f"Bearer {token}"
        me = data(await http.get("/accounts/me/"))
        sockets = await self._stack.enter_async_context(AsyncExitStack())
        return Device(self.ws_url, http, email, device, token, me["id"], me["profileId"], sockets)

    async def confirm(
        self, http: httpx.AsyncClient, email: str, letter: EmailMessage, device: str = "one"
    ) -> Device:
        """Signed in by what a letter says."""
        body = {"confirmationToken": token_in(letter), "fingerprint": device}
        answer = data(await http.post("/accounts/email/confirm/", json=body))
        return await self.admit(http, email, device, answer["accessToken"])

    async def user(self, number: int, device: str = "one") -> Device:
        return await self.sign_in(f"user{number}@example.com", device)

    @asynccontextmanager
    async def dial(self, chat_id: str, **options: Any) -> AsyncIterator[ChatSocket]:
        async with dial(self.ws_url, chat_id, **options) as opened:
            yield opened


@frozen
class Token:
    """A JWT taken apart and put together by hand, so that a test depends on no library's idea of one."""

    head: Mapping[str, Any]
    claims: Mapping[str, Any]

    @classmethod
    def read(cls, text: str) -> "Token":
        head, claims, _ = text.split(".")
        return cls(*(json.loads(base64.urlsafe_b64decode(part + "==")) for part in (head, claims)))

    def signed(self, key: str) -> str:
        parts = [json.dumps(part, separators=(",", ":")).encode() for part in (self.head, self.claims)]
        text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
        signature = hmac.new(key.encode(), text, hashlib.sha256).digest()
        return (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def expired(token: str, key: str) -> str:
    """The same claims, over since an hour."""
    read = Token.read(token)
    over = int(time.time()) - 3600
    return Token(read.head, {**read.claims, "iat": over - 1800, "exp": over}).signed(key)


def token_in(letter: EmailMessage) -> str:
    """Returns the token of the link in a letter's text."""
    body = letter.get_body(("plain", "html"))
    assert body is not None
    found = re.search(r"/(?:confirm-email|setup-new-password)\?token=([\w.-]+)", body.get_content())
    assert found is not None, body.get_content()
    return found[1]
