"""The client: a thin asyncio shell around `Core`, which it gives sockets, tokens, a clock and a storage."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from messenger_client import core as wishes
from messenger_client.accounts import Accounts, Tokens, retry_after
from messenger_client.changes import Change, MessageRefused, MessageSent, Presence
from messenger_client.core import Core, Options, presence
from messenger_client.errors import ClientError, Ended, Refused, Unreachable
from messenger_client.frames import Fields
from messenger_client.model import Chat, HistoryPage, Member, Message, Reader
from messenger_client.outbox import Entry
from messenger_client.session import NAME as SESSION
from messenger_client.session import Save, Session
from messenger_client.states import ABNORMAL, State
from messenger_client.storage import MemoryStorage, Storage
from messenger_client.stream import Stream
from messenger_client.surroundings import Surroundings

CLOSE_TIMEOUT = 5.0
"""Seconds for the closing handshake."""

OPEN_TIMEOUT = 15.0
"""Seconds for opening a socket."""

CHANGES_MOST = 10_000
"""Changes that may wait for the application before the client stops reading its socket."""


class MessengerClient:
    """
    One person on one device.

    Use it as a context manager: it runs inside the block, and comes back by itself after breaks. A client that has ended
    (`State.ENDED`) says why in `why_ended`; `changes` ends then, and requests raise `Ended`.

    Args:
        url: The address of the server, as ``https://chat.example.com``.
        email: The address of the account.
        password: For signing in, and for signing in again when the session was ended. Without it there must be a session in
            the storage.
        storage: Where to keep the session, the outbox and the place in the stream of events. Without one everything is
            forgotten at the end.
        options: Times and limits.
        surroundings: The clock, chance and identities.
    """

    def __init__(
        self,
        url: str,
        *,
        email: str,
        password: str | None = None,
        storage: Storage | None = None,
        options: Options | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        self._storage = storage or MemoryStorage()
        self._options = options or Options()
        self._surroundings = surroundings or Surroundings()
        self._accounts = Accounts(url)
        self._session = Session(self._accounts, email, password, self._surroundings.new_id)
        self._has_password = password is not None
        self._core = self._new_core()
        self._stream = Stream(self._storage, CHANGES_MOST)
        self._observers: list[Callable[[Change], None]] = []
        self._results: dict[str, asyncio.Future[Fields]] = {}
        self._outcomes: dict[tuple[str, str], list[asyncio.Future[MessageSent]]] = {}
        self._token_news = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._socket: asyncio.Task[None] | None = None
        """The task of the current socket, or None. Reports of earlier sockets are ignored."""
        self._connection: ClientConnection | None = None
        self._obtaining: asyncio.Task[None] | None = None
        self._outgoing: asyncio.Queue[str | wishes.Close] = asyncio.Queue()
        self._timer: asyncio.TimerHandle | None = None
        self._is_obeying = False

    # Life

    async def __aenter__(self) -> Self:
        """
        Loads the storage and begins to connect. It does not wait for the connection: see `until`.

        Raises:
            StorageDamaged: The storage holds something that this package did not write.
        """
        stored = await self._storage.load()
        if not self._session.load(stored):
            await self._storage.save(dict.fromkeys(stored))
            stored = {}
        self._core = self._new_core()
        self._core.load({name: text for name, text in stored.items() if name != SESSION})
        self._tasks = await asyncio.TaskGroup().__aenter__()
        self._saver = self._tasks.create_task(self._stream.save_always())
        self._core.start(self._now)
        self._obey()
        return self

    def _new_core(self) -> Core:
        return Core(
            self._surroundings.uniform,
            self._options,
            has_session=self._session.is_open,
            has_password=self._has_password,
        )

    async def __aexit__(self, kind: Any, raised: Any, trace: Any) -> None:
        """Closes the socket, and stores what was handled. What is in the outbox stays there for the next start."""
        assert self._tasks is not None
        self._core.stop()
        self._obey()
        self._end()
        if self._obtaining is not None:
            # tokens on their way are worth a moment: a refresh token that is lost ends the session
            await asyncio.wait({self._obtaining}, timeout=CLOSE_TIMEOUT)
            self._obtaining.cancel()
        self._stream.close()
        await asyncio.wait({self._saver})
        # an error of the block is the caller's own, and must not come back as a group; only a cancellation may be the group's
        is_cancelled = kind is not None and issubclass(kind, asyncio.CancelledError)
        ended = (kind, raised, trace) if is_cancelled else (None, None, None)
        try:
            await self._tasks.__aexit__(*ended)
        except BaseExceptionGroup as group:
            if len(group.exceptions) > 1:
                raise
            raise group.exceptions[0] from None
        finally:
            self._tasks = None
            await self._stream.save()
            await self._storage.close()

    def start(self) -> None:
        """Starts a client again that has ended, for instance after the account was confirmed."""
        self._stream.begin()
        self._core.start(self._now)
        self._obey()

    # What it knows

    @property
    def state(self) -> State:
        return self._core.state

    @property
    def why_ended(self) -> str:
        return self._core.why_ended

    @property
    def profile_id(self) -> str:
        """The person's own id, as messages and members have it; empty before the first connection."""
        return self._core.held.profile_id

    @property
    def chats(self) -> Mapping[str, Chat]:
        """The chats of the person, by id."""
        return self._core.held.chats

    @property
    def unread_count(self) -> int:
        """The number of unread messages in all chats together."""
        return sum(chat.unread_count for chat in self.chats.values())

    def messages(self, chat_id: str) -> list[Message]:
        """The messages of a chat that the client holds, in order: those that it was told or has read from the history."""
        kept = self._core.held.messages.get(chat_id, {})
        return [kept[position] for position in sorted(kept)]

    @property
    def unsent(self) -> int:
        """Messages in the outbox."""
        return len(self._core.outbox)

    # What it tells

    def changes(self) -> Stream:
        """
        Everything that happens from here on, as an asynchronous iterator.

        A change is handled when the next one is asked for. What was not handled when the program ended is told again after its
        next start, if there is a storage. There is one stream for the whole client.
        """
        self._stream.keep()
        return self._stream

    def on_change(self, observe: Callable[[Change], None]) -> None:
        """Calls a function for every change at once. It does not count as handling."""
        self._observers.append(observe)

    async def until(self, state: State) -> None:
        """
        Waits for a state.

        Raises:
            Ended: The client has ended, and will not get there by itself.
        """
        reached = asyncio.Event()
        self._observers.append(observe := lambda _: reached.set())
        try:
            while self.state is not state:
                if self.state is State.ENDED:
                    raise Ended(self.why_ended)
                reached.clear()
                await reached.wait()
        finally:
            self._observers.remove(observe)

    # Messages

    async def send(self, chat_id: str, text: str, *, nonce: str | None = None) -> str:
        """
        Puts a message into the outbox, and returns its nonce when it is safe there. `MessageSent` or `MessageRefused` follow.

        The same nonce means the same message: a program that derives it from what it answers can repeat itself without saying
        anything twice. It has up to 64 characters.

        Raises:
            Ended: The client is not running.
        """
        if self._tasks is None:
            raise Ended("the client is not running")
        nonce = nonce or self._surroundings.new_id()
        if self._core.outbox.find(chat_id, nonce) is None:
            entry = self._core.outbox.add(chat_id, text, nonce)
            # in a task of its own: a caller that gives up must not leave it half done
            await asyncio.shield(self._tasks.create_task(self._store(entry)))
        return nonce

    async def _store(self, entry: Entry) -> None:
        await self._stream.save({entry.name: entry.to_text()})
        self._core.stored(self._now, entry)
        self._obey()

    async def say(self, chat_id: str, text: str, *, nonce: str | None = None) -> MessageSent:
        """
        Sends a message, and waits until it is stored, however long that takes.

        Raises:
            Refused: The server refused it.
            Ended: The client ended before. The message is in the outbox still.
        """
        nonce = nonce or self._surroundings.new_id()
        outcome: asyncio.Future[MessageSent] = asyncio.get_running_loop().create_future()
        self._outcomes.setdefault((chat_id, nonce), []).append(outcome)
        await self.send(chat_id, text, nonce=nonce)
        if self.state is State.ENDED:
            self._fail_outcomes()
        return await outcome

    # Requests

    async def mark_read(self, chat_id: str, up_to: int | str) -> int:
        """Marks messages as read, up to a ``seq`` or a message id. Returns the number of those that are unread still."""
        answer = await self._ask("mark_read", chat_id=chat_id, up_to=up_to)
        return int(answer["unread_count"])

    async def mark_single_read(self, chat_id: str, message_id: str) -> None:
        await self._ask("mark_single_read", chat_id=chat_id, message_id=message_id)

    async def typing(self, chat_id: str, *, is_typing: bool = True) -> None:
        """Tells the others that the person types. It is lost without an error if there is no connection."""
        if self.state is State.LIVE:
            with suppress(ClientError):
                await self._ask("typing", chat_id=chat_id, is_typing=is_typing)

    async def history(
        self,
        chat_id: str,
        *,
        before: int | None = None,
        after: int | None = None,
        around: int | None = None,
        limit: int = 50,
    ) -> HistoryPage:
        """Reads a page of the history by ``seq``, the newest without one; 100 messages at most. The client keeps them."""
        places = {"before": before, "after": after, "around": around}
        given = {name: seq for name, seq in places.items() if seq is not None}
        page = HistoryPage.read(await self._ask("get_history", chat_id=chat_id, limit=limit, **given))
        for message in page.messages:
            if chat_id in self.chats:
                self._core.held.keep(message)
        return page

    async def readers(self, chat_id: str, message_id: str) -> list[Reader]:
        """Returns the people who have read a message, the first reader first; 1,000 at most."""
        answer = await self._ask("get_readers", chat_id=chat_id, message_id=message_id)
        return [Reader.read(each) for each in answer["readers"]]

    async def catch_up(
        self, chat_id: str, after: int, *, before: int | None = None, limit: int = 100
    ) -> list[Mapping[str, Any]]:
        """
        Durable frames of a chat between two positions, as the server has them. The client reads by itself what it missed; this
        is for programs that want what was before.
        """
        more = {} if before is None else {"before": before}
        answer = await self._ask("catch_up", chat_id=chat_id, after=after, limit=limit, **more)
        return list(answer["events"])

    async def create_chat(self, name: str, members: list[str], *, description: str | None = None) -> Chat:
        """Creates a group. ``members`` are profiles; the person itself need not be among them."""
        fields = {"name": name, "members": members, "description": description}
        answer = await self._ask("create_chat", key=self._surroundings.new_id(), **fields)
        return Chat.read(answer)

    async def open_direct(self, profile_id: str) -> Chat:
        """Opens the chat with one other person, which exists once."""
        answer = await self._ask("open_direct", profile_id=profile_id, key=self._surroundings.new_id())
        return Chat.read(answer)

    async def change_chat(
        self,
        chat_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        members: list[str] | None = None,
    ) -> Chat:
        """Changes what is given. ``members`` are added."""
        given = {"name": name, "description": description, "members": members}
        fields = {key: value for key, value in given.items() if value is not None}
        return Chat.read(await self._ask("change_chat", chat_id=chat_id, **fields))

    async def add_members(self, chat_id: str, profile_ids: list[str]) -> list[Member]:
        """Adds people. Returns all members."""
        key = self._surroundings.new_id()
        answer = await self._ask("add_members", chat_id=chat_id, profile_ids=profile_ids, key=key)
        return [Member.read(each) for each in answer["members"]]

    async def change_role(self, chat_id: str, profile_id: str, role: str) -> list[Member]:
        """``owner`` hands the chat over. Returns all members."""
        answer = await self._ask("change_role", chat_id=chat_id, profile_id=profile_id, role=role)
        return [Member.read(each) for each in answer["members"]]

    async def remove_member(self, chat_id: str, profile_id: str) -> None:
        await self._ask("remove_member", chat_id=chat_id, profile_id=profile_id)

    async def leave_chat(self, chat_id: str) -> None:
        await self.remove_member(chat_id, self.profile_id)

    async def delete_chat(self, chat_id: str) -> None:
        await self._ask("delete_chat", chat_id=chat_id)

    async def watch_presence(self, profile_ids: list[str]) -> list[Presence]:
        """
        Asks to be told when these people come and go, 200 at most, and returns who of them is online now. Strangers are left
        out. The next call replaces the list, an empty one ends it; after a break the client asks again by itself.
        """
        answer = await self._ask("watch_presence", profile_ids=profile_ids)
        return [presence(fields) for fields in answer["watching"]]

    async def access_token(self) -> str:
        """
        An access token that lasts, for requests over HTTP.

        Raises:
            Ended: The client has ended.
        """
        while not self._core.has_token(self._now):
            if self._tasks is None or self.state is State.ENDED:
                raise Ended(self.why_ended or "the client is not running")
            self._token_news.clear()
            self._core.want_token()
            self._obey()
            await self._token_news.wait()
        return self._core.token

    async def sign_out(self) -> None:
        """
        Ends the session at the server. The client ends too.

        Raises:
            Refused, Unreachable: The server did not do it.
        """
        self._core.stop()
        self._obey()
        await self._session.sign_out(self._save)

    async def _ask(self, kind: str, **fields: Any) -> Fields:
        """
        Raises:
            Refused: The server refused the request.
            OutcomeUnknown: The connection broke, and a repeat might do it twice.
            Ended: The client is not running.
        """
        id = self._core.ask(self._now, kind, fields)
        result: asyncio.Future[Fields] = asyncio.get_running_loop().create_future()
        self._results[id] = result
        self._obey()
        try:
            return await result
        finally:
            del self._results[id]
            self._core.forget_request(id)

    # The shell

    @property
    def _now(self) -> float:
        return self._surroundings.clock()

    async def _save(self, changes: Mapping[str, str | None]) -> None:
        await self._stream.save(changes)

    def _obey(self) -> None:
        """Carries out what the core wishes, and looks at the clock when it wants to."""
        if self._is_obeying:
            return
        self._is_obeying = True
        try:
            while todo := self._core.wishes():
                for wish in todo:
                    self._carry_out(wish)
        finally:
            self._is_obeying = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._tasks is not None and (at := self._core.next_at) is not None:
            self._timer = asyncio.get_running_loop().call_later(max(at - self._now, 0.0), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._core.tick(self._now)
        self._obey()

    def _carry_out(self, wish: wishes.Wish) -> None:
        assert self._tasks is not None
        match wish:
            case wishes.Connect():
                self._outgoing = asyncio.Queue()
                self._socket = self._tasks.create_task(self._run_socket(self._outgoing))
            case wishes.Write(text):
                self._outgoing.put_nowait(text)
            case wishes.Close(code) if code != ABNORMAL:
                self._outgoing.put_nowait(wish)
            case wishes.Close():
                self._drop()
            case wishes.Refresh():
                self._obtaining = self._tasks.create_task(self._obtain(self._session.refresh))
            case wishes.SignIn():
                self._obtaining = self._tasks.create_task(self._obtain(self._session.sign_in))
            case wishes.Tell():
                self._tell(wish)
            case wishes.Settle(id, outcome):
                self._settle(id, outcome)

    def _drop(self) -> None:
        """Gives up a dead socket at once. Nothing of it is reported any more."""
        socket, connection = self._socket, self._connection
        self._socket = self._connection = None
        if connection is not None:
            connection.transport.abort()
        elif socket is not None:
            socket.cancel()

    def _tell(self, tell: wishes.Tell) -> None:
        self._stream.put(tell)
        if tell.change is None:
            return
        if isinstance(tell.change, MessageSent | MessageRefused):
            self._settle_message(tell.change)
        if self.state is State.ENDED:
            self._end()
        for observe in list(self._observers):
            observe(tell.change)

    def _end(self) -> None:
        self._token_news.set()
        self._fail_outcomes()
        self._stream.end()
        if self._tasks is not None and self._socket is not None and self.state is State.STOPPED:
            self._tasks.create_task(self._stop_socket(self._socket))

    async def _stop_socket(self, socket: asyncio.Task[None]) -> None:
        """Gives the farewell a moment."""
        await asyncio.wait({socket}, timeout=CLOSE_TIMEOUT)
        socket.cancel()

    def _settle(self, id: str, outcome: Fields | ClientError) -> None:
        result = self._results.get(id)
        if result is None or result.done():
            return
        if isinstance(outcome, ClientError):
            result.set_exception(outcome)
        else:
            result.set_result(outcome)

    def _settle_message(self, change: MessageSent | MessageRefused) -> None:
        for outcome in self._outcomes.pop((change.chat_id, change.nonce), ()):
            if outcome.done():
                continue
            if isinstance(change, MessageSent):
                outcome.set_result(change)
            else:
                outcome.set_exception(Refused(change.code, change.message))

    def _fail_outcomes(self) -> None:
        outcomes, self._outcomes = self._outcomes, {}
        for outcome in [each for waiting in outcomes.values() for each in waiting if not each.done()]:
            outcome.set_exception(Ended(self.why_ended or "the client was stopped"))

    async def _obtain(self, way: Callable[[Save], Awaitable[Tokens]]) -> None:
        try:
            tokens = await way(self._save)
        except Refused as refused:
            self._core.obtain_refused(str(refused))
        except Unreachable as error:
            self._core.obtain_failed(self._now, str(error), error.retry_after)
        else:
            self._core.obtained(self._now, tokens.access, tokens.expires_in)
        self._token_news.set()
        self._obey()

    async def _run_socket(self, outgoing: "asyncio.Queue[str | wishes.Close]") -> None:
        code, reason, status, pause = ABNORMAL, "", None, None
        try:
            async with connect(
                self._accounts.socket_url,
                ping_interval=None,  # the core pings, so that every client does it alike
                max_size=None,
                open_timeout=OPEN_TIMEOUT,
                close_timeout=CLOSE_TIMEOUT,
            ) as socket:
                self._connection = socket
                self._core.connected(self._now)
                self._obey()
                writer = asyncio.create_task(self._write(socket, outgoing))
                try:
                    await self._read(socket)
                finally:
                    writer.cancel()
        except ConnectionClosed as closed:
            if closed.rcvd is not None:
                code, reason = closed.rcvd.code, closed.rcvd.reason
        except InvalidStatus as error:
            status, pause = error.response.status_code, retry_after(error.response.headers)
        except (OSError, TimeoutError, WebSocketException) as error:
            reason = str(error)
        if self._socket is asyncio.current_task():
            self._socket = self._connection = None
            self._core.disconnected(self._now, code, reason, status=status, retry_after=pause)
            self._obey()

    async def _read(self, socket: ClientConnection) -> None:
        """Reads until the socket closes, which raises `ConnectionClosed`."""
        while True:
            text = await socket.recv()
            if isinstance(text, str) and self._connection is socket:
                self._core.heard(self._now, text)
                self._obey()
            await self._stream.has_room()

    async def _write(self, socket: ClientConnection, outgoing: "asyncio.Queue[str | wishes.Close]") -> None:
        with suppress(ConnectionClosed):  # which the reader notices
            while True:
                wish = await outgoing.get()
                if isinstance(wish, wishes.Close):
                    await socket.close(wish.code)
                    return
                await socket.send(wish)
