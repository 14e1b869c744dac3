"""
Devices that hear all chats of a person, over a socket, a stream of events, or by asking now and then.

Like those of `clients` they come and go, read slowly, send and mark, and retry what has no answer. What one knows it keeps
over its connections as `tests.checker.all_chats.Client`; it comes back with the cursor that it was told last, or an older one.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from attrs import Factory, define, field

from application.errors import ApplicationError, OutcomeUnknown
from domain.errors import DomainError
from domain.ids import ChatId
from interfaces.ws.closing import Close
from tests.checker.all_chats import FURTHER_PAGE, Client
from tests.checker.history import (
    Acked,
    AllConnecting,
    AllEnded,
    AllHeard,
    AllWatching,
    Backlog,
    Failure,
    MarkStarted,
    Refused,
    SendStarted,
    Unknown,
)
from tests.simulation.access import Access, Connected
from tests.simulation.chance import Chance
from tests.simulation.clients import Notebook, SimulatedPerson, dumped, until
from tests.simulation.frames import Fields
from tests.simulation.over_http import written

GARBLED: Final[Sequence[Any]] = (41, [], {}, {"cursor": 5}, {"cursor": "nonsense"}, {"seen": {}})
"""What does not say where a client resumes."""

MOST_UNANSWERED: Final = 4


@define(eq=False)
class AllChatsVisit:
    """One connection of a device, from its greeting to its end."""

    device: "AllChatsDevice"
    node: Access
    number: int
    line: Connected = field(init=False)
    has_resumed: bool = False
    watches: bool = False
    is_over: bool = False
    end: Close | None = None
    changed: asyncio.Event = Factory(asyncio.Event)
    sends: dict[str, tuple[int, str]] = Factory(dict)
    """Attempts without an answer, by the id of the request: each with its nonce."""
    requests: dict[str, None] = Factory(dict)
    """Other requests without an answer."""

    @property
    def takes_requests(self) -> bool:
        return self.line.takes_requests

    def hear(self, item: str | Close) -> None:
        device = self.device
        if isinstance(item, Close):
            self.is_over, self.end = True, item
            device.notebook.write(AllEnded(at=device.at, connection=self.number, code=item.code))
            if item.code == 1011:
                device.notebook.write(
                    Failure(at=device.at, what="a socket of all chats was closed with 1011")
                )
            limit = self.node.outbox_frames
            device.notebook.write(
                Backlog(at=device.at, connection=self.number, frames=self.line.backlog, limit=limit)
            )
        else:
            self._hear(orjson.loads(item))
        self.changed.set()

    def _hear(self, frame: Fields) -> None:
        device, id = self.device, frame.get("id")
        is_send = isinstance(id, str) and id in self.sends
        if is_send:
            self._hear_sent(frame)
        else:
            device.notebook.write(AllHeard(at=device.at, connection=self.number, frame=frame))
            for _ in device.client.take(frame):
                pass  # the checker says what is wrong with it
            self.requests.pop(str(id), None)
        if frame["type"] in {"resumed", "cursor"}:
            self.has_resumed = True
            device.cursors.append(frame["cursor"])

    def _hear_sent(self, frame: Fields) -> None:
        device = self.device
        send, nonce = self.sends.pop(frame["id"])
        if frame["type"] == "answer":
            message = frame["message"]
            device.notebook.write(
                Acked(
                    at=device.at,
                    send=send,
                    id=message["id"],
                    seq=message["seq"],
                    position=message["position"],
                    duplicate=frame["duplicate"],
                )
            )
            device.unanswered.pop(nonce, None)
            return
        code: str = frame["code"]
        if code == OutcomeUnknown.code:
            device.notebook.write(Unknown(at=device.at, send=send))
            return
        device.notebook.write(Refused(at=device.at, send=send, code=code))
        if code not in {"unavailable", "overloaded"}:
            device.unanswered.pop(nonce, None)


@define(eq=False, kw_only=True)
class AllChatsDevice:
    person: SimulatedPerson
    name: str
    notebook: Notebook
    chance: Chance
    nodes: Sequence[Access]
    profiles: list[str]
    """Whom it may want to watch: everybody, and some who do not exist."""
    session: str
    token: str
    over: Sequence[str] = ("ws",)
    """The transports that it uses, a new one each time."""
    is_settling: bool = False
    """From now on: come back, have everything answered, do nothing new."""
    leaves: bool = False
    """True if it comes back once more when it settles. If all do, their node hears no chat for a while."""
    client: Client = field(init=False)
    cursors: list[str] = field(init=False, factory=list)
    """All that it was told."""
    unanswered: dict[str, tuple[str, str]] = field(init=False, factory=dict)
    """Chat and text by nonce of what may not be stored yet, oldest first."""
    visit: AllChatsVisit | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self.client = Client(self.person.profile)

    @property
    def at(self) -> float:
        return asyncio.get_running_loop().time()

    # Coming and going

    async def live(self) -> None:
        while True:
            await asyncio.sleep(0.02 + self.chance.wait(0.5))
            up = [node for node in self.nodes if node.is_up]
            if not up:
                continue
            node = self.chance.one_of(up)
            over = self._choose()
            if over == "sync":
                await self._ask_now_and_then(node)
                continue
            visit = self.visit = self._connect(node, over)
            await self._stay(visit)
            if not visit.is_over:
                return

    def _choose(self) -> str:
        """A transport. Before it listens to a stream, a device reads all pages, which could be older than what it hears."""
        if len(self.over) == 1:
            return self.over[0]
        if self.is_settling and self.unanswered:
            return "ws"
        over = self.chance.one_of(self.over)
        if self.client.cursor is None or self.client.next is not None:
            return "ws" if self.is_settling else self.chance.one_of(("ws", "sync"))
        return self.chance.one_of(("ws", "events")) if over == "sync" and self.is_settling else over

    def _connect(self, node: Access, over: str) -> AllChatsVisit:
        visit = AllChatsVisit(self, node, self.notebook.number("connection"))
        since, is_garbled = self._since()
        if over == "events" and since is None:
            since = {"cursor": self.client.cursor}
        self.greet(visit, since, is_garbled=is_garbled, over=over)
        return visit

    def greet(self, visit: AllChatsVisit, since: Any, *, is_garbled: bool = False, over: str = "ws") -> None:
        """Opens the connection of a visit and says who it is, and where it goes on."""
        has_cursor = since is not None and not is_garbled
        self.client.connect(has_cursor=has_cursor)
        if over == "events":
            visit.line = visit.node.listen(self.token, since, visit.hear)
        else:
            visit.line = visit.node.open(None, visit.hear)
            visit.line.say(dumped({"type": "auth", "token": self.token, "since": since}))
        cursor = since["cursor"] if has_cursor else None
        self._note(visit.number, visit.node, cursor, is_garbled=is_garbled)

    def _note(
        self, number: int, node: Access, cursor: str | None, *, is_garbled: bool, goes_on: bool = False
    ) -> None:
        self.notebook.write(
            AllConnecting(
                at=self.at,
                connection=number,
                profile=self.person.profile,
                session=self.session,
                node=node.name,
                device=self.name,
                has_cursor=cursor is not None,
                epoch=None if cursor is None else node.epoch_of(cursor),
                is_garbled=is_garbled,
                goes_on=goes_on,
            )
        )

    # Asking now and then

    async def _ask_now_and_then(self, node: Access) -> None:
        """Asks `/sync/` a few times, each time until there is no more."""
        for _ in range(1 + self.chance.below(4)):
            if self.is_settling or not node.is_up:
                return
            since, is_garbled = self._since()
            query = written(since)[0]
            if "since" in query and self.chance.decides(0.5):
                query["wait"] = "1"
            try:
                goes_on = False
                while await self._ask_once(node, query, is_garbled=is_garbled, goes_on=goes_on):
                    since = str(self.client.cursor)
                    query, is_garbled, goes_on = {"since": since}, False, node.is_on_the_way(since)
            except (DomainError, ApplicationError, TimeoutError):
                return  # the answer was lost, or there was none: it goes on from the cursor that it has
            await asyncio.sleep(self.chance.wait(1.0))

    async def _ask_once(
        self, node: Access, query: dict[str, str], *, is_garbled: bool, goes_on: bool = False
    ) -> bool:
        """
        Takes one answer, which for the checker is a connection of its own. Those of one walk belong together (``goes_on``);
        after a walk frames may come again. Reads all pages of a snapshot. Returns whether there is more.

        Raises:
            ApplicationError, DomainError, TimeoutError: An answer did not come.
        """
        number, cursor = self.notebook.number("connection"), None if is_garbled else query.get("since")
        self.client.connect(has_cursor=cursor is not None, goes_on=goes_on)
        self._note(number, node, cursor, is_garbled=is_garbled, goes_on=goes_on)
        try:
            async with asyncio.timeout(10.0 if self.chance.decides(0.9) else 0.05 + self.chance.wait(0.5)):
                data = await node.synchronise(self.token, query)
            has_more: bool = data["hasMore"]
            snapshots = [frame for frame in data["frames"] if frame["type"] == "snapshot"]
            entered = {
                "type": "auth_success",
                "cursor": data["cursor"],
                "epoch": node.epoch_of(data["cursor"]),
            }
            self._take(number, entered)
            for frame in data["frames"]:
                self._take(number, frame)
            self._keep(number, data["cursor"], is_whole=not has_more and not snapshots)
            while self.client.next is not None and not has_more:
                async with asyncio.timeout(10.0):
                    data = await node.synchronise(self.token, {"next": self.client.next})
                for frame in data["frames"]:
                    self._take(number, {**frame, "id": FURTHER_PAGE})
        finally:
            self.notebook.write(AllEnded(at=self.at, connection=number, code=1000))
        return has_more

    def _take(self, number: int, frame: Fields) -> None:
        self.notebook.write(AllHeard(at=self.at, connection=number, frame=frame))
        for _ in self.client.take(frame):
            pass  # the checker says what is wrong with it

    def _keep(self, number: int, cursor: str, *, is_whole: bool) -> None:
        self.cursors.append(cursor)
        self._take(number, {"type": "resumed" if is_whole else "cursor", "cursor": cursor})

    def _since(self) -> tuple[Any, bool]:
        """What it says about where it was, and whether that is nonsense. Now and then it has forgotten everything."""
        chosen = self.chance.random.random()
        if chosen < 0.05:
            return self.chance.one_of(GARBLED), True
        if self.client.cursor is None or chosen < 0.12:
            return None, False
        if chosen < 0.2 and self.cursors:
            return {"cursor": self.chance.one_of(self.cursors)}, False
        if chosen < 0.6:
            seen = {chat: known.position for chat, known in self.client.chats.items()}
            return {"cursor": self.client.cursor, "seen": seen}, False
        return {"cursor": self.client.cursor}, False

    async def _stay(self, visit: AllChatsVisit) -> None:
        """Until it is over, or all is done."""
        is_early = not self.is_settling
        await until(visit, lambda: visit.has_resumed or self.is_settling)
        self._send_again(visit)
        if visit.has_resumed and self.chance.decides(0.6):
            self._watch(visit)
        while not visit.is_over:
            if not visit.takes_requests and self.client.next is not None:
                visit.line.drop()  # it was reset: pages are read before a stream is listened to
            elif self.is_settling:
                visit.line.to_client.thaw()
                if is_early and self.leaves:
                    visit.line.drop()  # what it missed is told once more when nothing moves
                    await self._read_elsewhere()
                elif await self._settle(visit):
                    return
                is_early = False
            else:
                self._act(visit)
                await asyncio.sleep(0.02 + self.chance.wait(1.0))

    async def _settle(self, visit: AllChatsVisit) -> bool:
        await until(visit, lambda: visit.has_resumed and not visit.sends and not visit.requests)
        if visit.is_over:
            return False
        if self.client.next is None and not self.unanswered:
            if not visit.watches:
                self._watch(visit)
            self._type(visit, is_typing=True)  # and never again: the others must not wait for the end of it
            return True
        if not visit.takes_requests:
            visit.line.drop()  # what has no answer is sent over a socket
            return False
        await asyncio.sleep(0.1)
        self._read_on(visit)
        self._send_again(visit)
        return False

    # What it does

    def _act(self, visit: AllChatsVisit) -> None:
        chosen = self.chance.random.random()
        if not visit.takes_requests:
            chosen = 0.65 + 0.25 * chosen  # it only comes, goes and reads slowly
        if chosen < 0.3 and self.client.chats and len(self.unanswered) < MOST_UNANSWERED:
            number = self.notebook.number("text")
            chat = self.chance.one_of(list(self.client.chats))
            self.unanswered[f"n{number}"] = chat, f"{self.name} says {number}"
            self._send(visit, f"n{number}")
        elif chosen < 0.45:
            self._mark(visit)
        elif chosen < 0.65:
            self._read_on(visit)
        elif chosen < 0.75:
            visit.line.to_client.freeze()
            asyncio.get_running_loop().call_later(self.chance.wait(3.0), visit.line.to_client.thaw)
        elif chosen < 0.83:
            visit.line.drop()
        elif chosen < 0.91:
            self._watch(visit)
        else:
            self._type(visit, is_typing=self.chance.decides(0.8))

    def _type(self, visit: AllChatsVisit, *, is_typing: bool) -> None:
        if visit.takes_requests and self.client.chats:
            chat = self.chance.one_of(list(self.client.chats))
            id = self._ask(visit, {"type": "typing", "chat_id": chat, "is_typing": is_typing})
            del visit.requests[id]

    def _watch(self, visit: AllChatsVisit) -> None:
        if not visit.takes_requests:
            return
        some = [profile for profile in self.profiles if self.chance.decides(0.6)]
        visit.watches = True
        id = self._ask(visit, {"type": "watch_presence", "profile_ids": some})
        del visit.requests[id]  # the device goes on without the answer
        self.notebook.write(AllWatching(at=self.at, connection=visit.number, request=id, profiles=some))

    def _send_again(self, visit: AllChatsVisit) -> None:
        if not visit.takes_requests:
            return
        for nonce in [*self.unanswered]:
            self._send(visit, nonce)

    def _send(self, visit: AllChatsVisit, nonce: str) -> None:
        chat, text = self.unanswered[nonce]
        send = self.notebook.number("send")
        self.notebook.write(
            SendStarted(
                at=self.at,
                send=send,
                connection=None,
                chat=chat,
                profile=self.person.profile,
                session=self.session,
                text=text,
                nonce=nonce,
            )
        )
        visit.sends[f"s{send}"] = send, nonce
        fields = {"type": "send_message", "id": f"s{send}", "chat_id": chat, "text": text, "nonce": nonce}
        visit.line.say(dumped(fields))

    def _mark(self, visit: AllChatsVisit) -> None:
        if read := self._with_messages():
            chat, seq = self.chance.one_of(read)
            self._ask(visit, {"type": "mark_read", "chat_id": chat, "up_to": self._try_mark(chat, seq)})

    def _with_messages(self) -> list[tuple[str, int]]:
        """The chats that have messages, and the last of them."""
        return [(chat, known.seq) for chat, known in self.client.chats.items() if known.seq]

    def _try_mark(self, chat: str, seq: int) -> int:
        up_to = seq if self.chance.decides(0.6) else 1 + self.chance.below(seq)
        self.notebook.write(MarkStarted(at=self.at, chat=chat, profile=self.person.profile, up_to=up_to))
        return up_to

    def _read_on(self, visit: AllChatsVisit) -> None:
        if self.client.next is not None and not visit.requests:
            self._ask(visit, {"type": "more", "next": self.client.next})

    def _ask(self, visit: AllChatsVisit, fields: Fields) -> str:
        id = f"r{self.notebook.number('request')}"
        visit.requests[id] = None
        visit.line.say(dumped({"id": id, **fields}))
        return id

    async def _read_elsewhere(self) -> None:
        """While it is away: nothing but the mark moves."""
        up, read = [node for node in self.nodes if node.is_up], self._with_messages()
        if up and read:
            chat, seq = self.chance.one_of(read)
            await self.mark_without_socket(self.chance.one_of(up), ChatId(UUID(chat)), seq)

    async def mark_without_socket(self, node: Access, chat_id: ChatId, seq: int) -> None:
        """Marks as read over HTTP, as another device of the same person would."""
        up_to = self._try_mark(str(chat_id), seq)
        try:
            async with asyncio.timeout(0.05 + self.chance.wait(0.5)):
                await node.mark_read(self.token, chat_id, up_to)
        except (DomainError, ApplicationError, TimeoutError):
            pass  # whether it was stored, the end shows
