"""
What a client of all chats knows, and how it learns it: by the frames alone, as docs/protocol.md tells, whichever of the
three transports brings them.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
from attrs import Factory, define, field
from starlette.applications import Starlette

from application.actor import Actor
from application.paging import Paging
from application.ports.updates import Update
from application.receipts.mark_read import MarkRead
from application.updates.typing import ShowTyping
from config.container import MemoryAdapters, PostgresAdapters
from domain.ids import ChatId, Seq
from interfaces.app import create_app
from interfaces.http.options import HttpOptions
from interfaces.live.hub import Hub
from interfaces.live.sync import SyncOptions
from interfaces.wire import frames
from interfaces.ws.endpoint import Sockets
from interfaces.ws.options import SocketOptions
from interfaces.ws.services import SocketServices
from tests.interfaces.http.event_client import Listening, listening
from tests.interfaces.live.test_hub import until, watching
from tests.interfaces.ws.asgi import ClientSocket, Closed, connected
from tests.world import MessengerWorld, SignedInPerson, TickingClock, world


class Hole(AssertionError):
    """A durable frame does not follow the one before it, or tells of a chat that the client does not know."""


DURABLE = {"new_message", "chat_changed", "member_added", "member_removed", "role_changed"}


@define(eq=False)
class Chat:
    entry: dict[str, Any]
    """The entry of the snapshot, kept up to date."""
    said: list[tuple[int, str]] = Factory(list)
    """The numbers and senders of messages that came after the snapshot."""

    @property
    def position(self) -> int:
        position: int = self.entry["position"]
        return position


@define(eq=False, repr=False)
class Picture:
    """The state of one client. ``profile`` is its own profile."""

    profile: str
    chats: dict[str, Chat] = Factory(dict)
    cursor: str | None = None
    frames: list[dict[str, Any]] = Factory(list)
    """Everything that came, in order."""
    resets: list[str] = Factory(list)
    gaps: int = 0
    skipped: dict[str, tuple[int, int]] = Factory(dict)
    """The positions around the last gap of each chat."""
    next: str | None = None
    """Where the chats go on that were not in the pages so far."""

    def seen(self) -> dict[str, int]:
        return {chat_id: chat.position for chat_id, chat in self.chats.items()}

    def take(self, frame: dict[str, Any]) -> None:
        self.frames.append(frame)
        kind = frame["type"]
        if kind in DURABLE:
            self._durable(frame)
        elif take := getattr(self, f"_{kind}", None):
            take(frame)

    def state(self) -> dict[str, Any]:
        return {chat_id: comparable(chat.entry) for chat_id, chat in self.chats.items()}

    # What tells the whole state

    def _auth_success(self, frame: dict[str, Any]) -> None:
        self.cursor = frame["cursor"]

    def _resumed(self, frame: dict[str, Any]) -> None:
        self.cursor = frame["cursor"]

    def _cursor(self, frame: dict[str, Any]) -> None:
        self.cursor = frame["cursor"]

    def _reset(self, frame: dict[str, Any]) -> None:
        self.resets.append(frame["reason"])
        if frame["scope"] == "all":
            self.chats.clear()
        else:
            self.chats[frame["chat_id"]] = Chat(frame["state"])

    def _snapshot(self, frame: dict[str, Any]) -> None:
        self.next = frame["next"]
        for entry in frame["chats"]:
            known = self.chats.get(entry["chat"]["id"])
            if known is None or known.position < entry["position"]:
                self.chats[entry["chat"]["id"]] = Chat(entry)

    def _chat_added(self, frame: dict[str, Any]) -> None:
        self.chats[frame["chat_id"]] = Chat(frame["chat"])

    def _gap(self, frame: dict[str, Any]) -> None:
        known = self.chats[frame["chat_id"]]
        if not (frame["after"] <= known.position and frame["before"] == frame["state"]["position"] + 1):
            raise Hole(frame)
        self.gaps += 1
        self.skipped[frame["chat_id"]] = frame["after"], frame["before"]
        self.chats[frame["chat_id"]] = Chat(frame["state"])

    # What changes it

    def _chat_removed(self, frame: dict[str, Any]) -> None:
        self.chats.pop(frame["chat_id"], None)

    def _durable(self, frame: dict[str, Any]) -> None:
        chat = self.chats.get(frame["chat_id"])
        if chat is None:
            if self.next is None:
                raise Hole(frame)
            return  # of a page that was not read
        if frame["position"] <= chat.position:
            return
        if frame["after"] != chat.position:
            raise Hole(frame, chat.position)
        entry = chat.entry
        entry["position"] = frame["position"]
        match frame["type"]:
            case "new_message":
                message = frame["message"]
                entry["last_message"], entry["seq"] = message, message["seq"]
                chat.said.append((message["seq"], message["sender_id"]))
                entry["unread_count"] += message["sender_id"] != self.profile
            case "chat_changed":
                entry["chat"]["name"] = frame["name"]
                entry["chat"]["description"] = frame["description"]
            case "member_added":
                entry["chat"]["member_count"] += 1
            case "member_removed":
                entry["chat"]["member_count"] -= 1
            case "role_changed":
                if frame["user_id"] == self.profile:
                    entry["role"] = frame["role"]
                if frame["role"] == "owner":
                    entry["chat"]["owner"] = {"id": frame["user_id"]}

    def _read_up_to(self, frame: dict[str, Any]) -> None:
        chat = self.chats.get(frame["chat_id"])
        if chat is None:
            return
        later = [seq for seq, sender in chat.said if seq > frame["last_seq"] and sender != self.profile]
        chat.entry["unread_count"] = frame["unread_count"] + len(later)
        chat.entry["read_up_to"] = max(frame["seq"], chat.entry["read_up_to"])


def comparable(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry without what frames do not tell: when it was changed or read, and people's names as they are now."""
    chat, last = entry["chat"], entry["last_message"]
    return {
        "kind": chat["kind"],
        "name": chat["name"],
        "description": chat["description"],
        "owner": chat["owner"]["id"],
        "member_count": chat["member_count"],
        "role": entry["role"],
        "last_message": last and {key: last[key] for key in ("id", "seq", "position", "text", "sender_id")},
        "unread_count": entry["unread_count"],
        "read_up_to": entry["read_up_to"],
        "seq": entry["seq"],
        "position": entry["position"],
    }


@define(eq=False, repr=False)
class House:
    """A node with sockets, over any adapters."""

    world: MessengerWorld
    hub: Hub
    services: SocketServices
    app: Starlette
    http: httpx.AsyncClient
    devices: "list[Device]" = Factory(list)
    hears: bool = True
    """Whether the hub gets what is published; otherwise it must find everything in the logs."""

    def receive(self, updates: Sequence[Update]) -> None:
        if self.hears:
            self.hub.receive(updates)

    async def state_of(self, actor: Actor) -> dict[str, Any]:
        """What a client that comes now is shown."""
        chats = (await self.world.messenger.chats.list(actor.profile_id, Paging())).items
        entries = orjson.loads(orjson.dumps([frames.chat_entry(chat) for chat in chats]))
        return {entry["chat"]["id"]: comparable(entry) for entry in entries}

    async def mark(self, actor: Actor, chat_id: ChatId, up_to: int) -> None:
        await self.world.messenger.messages.mark_read(actor, MarkRead(chat_id=chat_id, up_to=Seq(up_to)))

    async def type(self, actor: Actor, chat_id: ChatId) -> None:
        await self.world.messenger.messages.show_typing(actor, ShowTyping(chat_id=chat_id, is_typing=True))


@asynccontextmanager
async def opened(
    adapters: MemoryAdapters | PostgresAdapters | None = None, *, interval: float = 0.05, **options: Any
) -> AsyncIterator[House]:
    async with world(adapters) as here:
        clock = here.application.ports().clock
        if isinstance(clock, TickingClock):
            clock.step = timedelta(milliseconds=1)  # a token lasts for as many looks at it as a house sees
        first_page, sync = options.pop("first_page", 50), options.pop("sync", {})
        hub = Hub(
            feed=here.messenger.feed,
            clock=clock,
            interval=interval,
            first_page=first_page,
            cursor_interval=0.1,
            typing_expiry=options.get("typing_expiry", 6.0),
            presence_pause=options.get("presence_pause", 0.0),
            watched_most=options.get("watched_profiles", 200),
            node=options.pop("node", ""),
        )
        services = SocketServices(
            messenger=here.messenger, hub=hub, options=SocketOptions(**options), cursor_key=b"key"
        )
        app = create_app(
            here.messenger,
            HttpOptions(cursor_key=b"key"),
            new_request_id=lambda: "x",
            sockets=Sockets(services).routes(),
            live=services,
            sync=SyncOptions(chats_page=first_page, **sync),
        )
        http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://server",
            timeout=None,  # tests have deadlines of their own
        )
        house = House(here, hub, services, app, http)
        here.application.updates().subscribe(house.receive)
        running = asyncio.create_task(services.run())
        try:
            # Who comes before the node has looked for the first time is refused after one interval, which is short here.
            await watching(hub)
            yield house
        finally:
            for device in house.devices:
                await device.go()
            await http.aclose()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


@define(eq=False, repr=False)
class Device:
    """A client that keeps its picture over any number of connections."""

    house: House
    person: SignedInPerson
    over: str = "ws"
    picture: Picture = field(init=False)
    socket: ClientSocket | None = None
    close: Closed | None = None
    reads: asyncio.Event = Factory(asyncio.Event)
    """Cleared while the client does not read."""
    is_there: bool = False
    received: int = 0
    """Bytes of answers and of events."""
    _stack: AsyncExitStack = Factory(AsyncExitStack)
    _reading: "asyncio.Task[None] | None" = None

    def __attrs_post_init__(self) -> None:
        self.house.devices.append(self)
        self.reads.set()
        self.picture = Picture(str(self.person.actor.profile_id))

    async def come(self, *, since: Any = None, window: int = 1000) -> None:
        """Connects, and waits until everything missed has come."""
        self.close = None
        self.is_there = True
        start = len(self.picture.frames)
        if self.over == "sync":
            await self._sync(since or {})
            self._reading = asyncio.create_task(self._poll())
            return
        if self.over == "events":
            await self._listen(since or {}, window)
            await until(lambda: self.close is not None or "resumed" in self._kinds(start))
            return
        self.socket = await self._stack.enter_async_context(connected(self.house.app, "/ws", window))
        self.socket.send_json({"type": "auth", "token": self.person.token, "since": since})
        self._reading = asyncio.create_task(self._read(self.socket))
        await until(lambda: self.close is not None or "resumed" in self._kinds(start))

    def _kinds(self, start: int) -> list[str]:
        return [frame["type"] for frame in self.picture.frames[start:]]

    async def come_back(self, *, with_seen: bool = False) -> None:
        since = {"cursor": self.picture.cursor}
        await self.come(since=since | ({"seen": self.picture.seen()} if with_seen else {}))

    async def go(self) -> None:
        self.reads.set()
        self.is_there = False
        await self._stack.aclose()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
        self.socket = None

    # Over /sync/

    async def _sync(self, since: dict[str, Any], **more: Any) -> None:
        """Asks until there is no more."""
        query = {"since": since["cursor"]} if "cursor" in since else {}
        if "seen" in since:
            query["seen"] = written(since["seen"])
        while True:
            answer = await self.house.http.get("/sync/", params=query | more, headers=self.person.headers)
            if answer.status_code != 200:
                self.close = Closed(answer.status_code, answer.text)
                return
            data = answer.json()["data"]
            self.received += len(answer.content)
            for frame in data["frames"]:
                self.picture.take(frame)
            self.picture.cursor = query["since"] = data["cursor"]
            if not data["hasMore"]:
                return

    async def _poll(self) -> None:
        while self.close is None:
            await self._sync({"cursor": self.picture.cursor}, wait=600)
            if self._must_ask_again():
                await asyncio.sleep(0.02)

    def _must_ask_again(self) -> bool:
        """Whether storage did not answer for a moment."""
        if self.close is None or self.close.code != 503:
            return False
        self.close = None
        return True

    # Over /events/

    async def _listen(self, since: dict[str, Any], window: int) -> None:
        query: dict[str, str] = {}
        last_id = None
        if "seen" in since:
            query = {"since": since["cursor"], "seen": written(since["seen"])}
        elif "cursor" in since:
            last_id = since["cursor"]
        stream = await self._stack.enter_async_context(
            listening(self.house.app, self.person.token, last_id=last_id, window=window, **query)
        )
        self._reading = asyncio.create_task(self._read_events(stream))

    async def _read_events(self, stream: Listening) -> None:
        while True:
            try:
                frame = await stream.take()
            except EOFError:
                return
            if frame["type"] == "end":
                self.close = Closed(frame["code"], frame["reason"])
                return
            self.received = len(stream.body)
            self.picture.take(frame)
            self.picture.cursor = stream.last_id or self.picture.cursor

    # Over any of them

    async def ask(self, type: str, **fields: Any) -> dict[str, Any]:
        """The answer to a request, or its refusal."""
        assert self.socket is not None
        id = f"{type} {len(self.picture.frames)} {uuid4().hex[:8]}"
        self.socket.send_json(
            {"type": type, "id": id, **{name: _plain(value) for name, value in fields.items()}}
        )
        await until(lambda: any(frame.get("id") == id for frame in self.picture.frames))
        (answer,) = [frame for frame in self.picture.frames if frame.get("id") == id]
        return answer

    def of(self, *types: str) -> list[dict[str, Any]]:
        return [frame for frame in self.picture.frames if frame["type"] in types]

    async def _read(self, socket: ClientSocket) -> None:
        while True:
            await self.reads.wait()
            try:
                frame = await socket.take()
            except Closed as close:
                self.close = close
                return
            self.picture.take(frame)


def written(seen: dict[str, int]) -> str:
    return ",".join(f"{chat_id}:{position}" for chat_id, position in seen.items())


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value
