"""
What a client of the socket of all chats knows from its frames alone, and whether that is the truth: D6, D9 to D13 there.

`Client` applies frames as docs/protocol.md tells, and says what no server that keeps to it would send. `known` compares what
clients know with what is stored: within what could be so when they have resumed, and exactly when everything is at rest.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import Any, Final

import orjson
from attrs import Factory, define, field

from tests.checker.history import (
    Acked,
    AllConnecting,
    AllEnded,
    AllHeard,
    AllWatching,
    Belongs,
    Connecting,
    Cut,
    Ended,
    HistoryRead,
    Joined,
    Kept,
    Leaving,
    Quiet,
    Said,
    Told,
)
from tests.checker.marks import before, final_marks, foreign, sure_marks, tried_marks
from tests.checker.picture import Picture, Violation

Frame = Mapping[str, Any]

Fault = tuple[str, str]
"""A rule, and what breaks it."""

DURABLE: Final = ("new_message", "chat_changed", "member_added", "member_removed", "role_changed")

QUIET_FOR: Final = 2.0
"""Seconds before the end in which nobody came or went."""

WORTH_A_GAP: Final = 2
"""Missed events of a slow reader; of a returning one more are replayed."""

BESIDE: Final = ("presence", "typing", "goaway")
"""Rules that are not among the guarantees: about what is told without being stored."""

OF_A_CHAT: Final = (*DURABLE, "read_up_to", "messages_read", "your_messages_read", "message_read", "typing")
"""Frames that must not tell of a chat which the person has left."""

FURTHER_PAGE: Final = "a further page"
"""
The id of a page that was asked for over HTTP, in a request of its own. It is as new as its answer, and may show a chat that the
person has joined again, before that is told.
"""


@define(eq=False)
class Known:
    """One chat, as a client knows it. ``unread`` counts the messages up to ``counted``."""

    position: int
    seq: int
    name: str
    member_count: int
    last: str | None
    """The id of the last message."""
    read_up_to: int
    unread: int
    counted: int

    @classmethod
    def of(cls, entry: Frame) -> "Known":
        last = entry["last_message"]
        return cls(
            entry["position"],
            entry["seq"],
            entry["chat"]["name"],
            entry["chat"]["member_count"],
            last and last["id"],
            entry["read_up_to"],
            entry["unread_count"],
            entry["seq"],
        )


@define(eq=False)
class Client:
    """A client's state over all of its connections."""

    profile: str
    replayed: int = 1000
    """Events of a chat that a cursor may lie back before there is a gap."""
    chats: dict[str, Known] = Factory(dict)
    cursor: str | None = None
    next: str | None = None
    """Where the chats go on whose page was not read yet."""
    gone: dict[str, None] = Factory(dict)
    """Chats that were removed, and not added again."""
    authors: dict[str, dict[int, str]] = Factory(lambda: defaultdict(dict))
    """The authors of messages that were told, by chat and number."""
    _forgotten: "Client | None" = None
    """What it knew before it forgot everything, until it has a cursor to store in the place of the one before."""
    _offered: str | None = None
    """A cursor that holds once the snapshot after it is known."""
    _told: dict[str, int] = Factory(dict)
    """The last position of each chat that was told on this connection."""
    watched: dict[str, bool] = Factory(dict)
    """Whom it watches on this connection, and whether they are online."""
    typing: dict[tuple[str, str], None] = Factory(dict)
    """The people who type, each with the chat in which they do."""

    def connect(self, *, has_cursor: bool, goes_on: bool = False, is_restored: bool = False) -> None:
        """
        ``goes_on``: what it is told is one run with what the connection before told, as the parts of one walk are.
        ``is_restored``: it begins with what its storage held, where nothing is replaced before there is a new cursor.
        """
        if not goes_on:
            self._told.clear()
        self.watched.clear()
        self.typing.clear()
        if not has_cursor:
            self._forget()
        elif is_restored and (held := self._forgotten) is not None:
            self.chats = {**held.chats, **self.chats}
            self.authors, self.next, self._forgotten = held.authors, held.next, None

    def _forget(self) -> None:
        if self._forgotten is None:
            self._forgotten = Client(
                self.profile, chats=self.chats, cursor=self.cursor, next=self.next, authors=self.authors
            )
        self.chats, self.authors = {}, defaultdict(dict)
        self.gone.clear()
        self.cursor = self.next = None

    def unread_of(self, chat: str) -> int:
        known, authors = self.chats[chat], self.authors[chat]
        later = range(known.counted + 1, known.seq + 1)
        return known.unread + sum(authors.get(seq) not in {None, self.profile} for seq in later)

    def take(self, frame: Frame) -> Iterator[Fault]:
        kind, chat = frame["type"], frame.get("chat_id")
        if chat in self.gone and kind in OF_A_CHAT:
            yield "D11", f"told of a chat after its removal: {frame}"
            return
        match kind:
            case "auth_success":
                self._offered = frame["cursor"]
            case "resumed" | "cursor":
                self.cursor, self._forgotten = frame["cursor"], None
            case "reset" if frame["scope"] == "all":
                self._forget()
            case "snapshot":
                yield from self._snapshot(frame)
            case "chat_added":
                self._replace(frame["chat_id"], frame["chat"])
            case "chat_removed":
                self.typing = {typist: None for typist in self.typing if typist[0] != frame["chat_id"]}
                self.chats.pop(frame["chat_id"], None)
                self.gone[frame["chat_id"]] = None
            case "reset":
                self._replace(frame["chat_id"], frame["state"])
            case "gap":
                yield from self._gap(frame)
            case "read_up_to":
                self._read(frame)
            case "answer" if "watching" in frame:
                self.watched = {state["user_id"]: state["online"] for state in frame["watching"]}
            case "presence" | "presence_ended":
                yield from self._presence(frame)
            case "typing":
                yield from self._typing(frame)
            case _ if kind in DURABLE:
                yield from self._durable(frame)
            case _:
                pass

    def _snapshot(self, frame: Frame) -> Iterator[Fault]:
        if "id" not in frame:
            self.cursor = self._offered
        self.next = frame["next"]
        for entry in frame["chats"]:
            chat: str = entry["chat"]["id"]
            if chat in self.gone and frame.get("id") != FURTHER_PAGE:
                yield "D11", f"a page shows a chat after its removal: {entry}"
            elif chat not in self.chats or self.chats[chat].position < entry["position"]:
                self.gone.pop(chat, None)
                self.chats[chat] = Known.of(entry)

    def _replace(self, chat: str, entry: Frame) -> None:
        self.chats[chat] = Known.of(entry)
        self.gone.pop(chat, None)
        self._told.pop(chat, None)

    def _gap(self, frame: Frame) -> Iterator[Fault]:
        chat, state = frame["chat_id"], frame["state"]
        known = self.chats.get(chat)
        if known is not None and frame["after"] > known.position:
            yield "D13", f"a gap that begins behind {known.position}: {frame}"
        if frame["before"] != state["position"] + 1 or state["position"] - frame["after"] < WORTH_A_GAP:
            yield "D13", f"no gap: {frame}"
        self._replace(chat, state)

    def _presence(self, frame: Frame) -> Iterator[Fault]:
        profile = frame["user_id"]
        if profile not in self.watched:
            yield "presence", f"it does not watch them: {frame}"
        elif frame["type"] == "presence_ended":
            del self.watched[profile]
        elif self.watched[profile] == frame["online"]:
            yield "presence", f"it knows that: {frame}"
        else:
            self.watched[profile] = frame["online"]

    def _typing(self, frame: Frame) -> Iterator[Fault]:
        typist = frame["chat_id"], frame["user_id"]
        if frame["user_id"] == self.profile:
            yield "typing", f"it is told of itself: {frame}"
        if frame["is_typing"]:
            self.typing[typist] = None
        else:
            self.typing.pop(typist, None)

    def _read(self, frame: Frame) -> None:
        known = self.chats.get(frame["chat_id"])
        if known is None:
            return
        mark, counted = frame["seq"], frame["last_seq"]
        if (mark, counted) >= (known.read_up_to, known.counted) or mark > known.read_up_to:
            known.read_up_to, known.unread, known.counted = mark, frame["unread_count"], counted

    def _durable(self, frame: Frame) -> Iterator[Fault]:
        chat, position = frame["chat_id"], frame["position"]
        if chat in self._told and not self._told[chat] == frame["after"] == position - 1:
            yield "D6", f"told out of order behind {self._told[chat]}: {frame}"
        self._told[chat] = position
        message = frame["message"] if frame["type"] == "new_message" else None
        if message:
            self.authors[chat][message["seq"]] = message["sender_id"]
        known = self.chats.get(chat)
        if known is None:
            return  # its page was not read, or was read after the person had left it
        if position <= known.position:
            return
        if not known.position == frame["after"] == position - 1:
            yield "D13", f"behind {known.position} comes {frame}"
        known.position = position
        match frame["type"]:
            case "new_message":
                known.seq, known.last = frame["message"]["seq"], frame["message"]["id"]
            case "chat_changed":
                known.name = frame["name"]
            case "member_added":
                known.member_count += 1
            case "member_removed":
                known.member_count -= 1
            case _:
                pass


@define(eq=False)
class _Connection:
    place: int
    opened: AllConnecting
    client: Client
    epoch: str | None = None
    """The line of history that it entered, if it was told that."""
    has_resumed: bool = False
    is_over: bool = False
    was_reset: bool = False
    asked: dict[str, tuple[int, Sequence[str]]] = Factory(dict)
    """Whom it wanted to watch, by request, and the place of the request."""
    watched_since: dict[str, int] = Factory(dict)
    """By profile, the place of the request that was answered with it."""
    leaves_by: float = inf
    """When it must be gone, as it was told."""


@define(eq=False)
class _Truth:
    """What is surely so at a place of the history, as far as anybody can tell."""

    picture: Picture
    positions: dict[str, list[tuple[int, int]]] = Factory(lambda: defaultdict(list))
    """By chat, places and the positions that were known to be stored by then."""
    changes: dict[tuple[str, str], list[tuple[int, str]]] = Factory(lambda: defaultdict(list))
    """By chat and profile, places and what became of the membership."""
    tried: dict[tuple[str, str], list[tuple[int, int]]] = field(init=False)
    sure: dict[tuple[str, str], list[tuple[int, int]]] = field(init=False)
    final: dict[tuple[str, str], int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        picture = self.picture
        self.tried, self.sure = tried_marks(picture), sure_marks(picture)
        self.final = final_marks(picture)
        for place, event in enumerate(picture.history):
            match event:
                case Acked():
                    chat = picture.attempts[event.send].started.chat
                    self.positions[chat].append((place, event.position))
                case Told():
                    chat = picture.sockets[event.connection].opened.chat
                    self.positions[chat].append((place, event.position))
                case HistoryRead() if event.messages:
                    self.positions[event.messages[-1].chat].append((place, event.messages[-1].position))
                case AllHeard(frame={"type": kind} as frame) if kind in DURABLE:
                    self.positions[frame["chat_id"]].append((place, frame["position"]))
                case Belongs() | Joined():
                    self._change(event.chat, event.profile, place, type(event).__name__)
                case Leaving() | Cut(session=None):
                    if event.chat is not None:
                        self._change(event.chat, event.profile, place, type(event).__name__)
                case _:
                    pass

    def _change(self, chat: str, profile: str | None, place: int, what: str) -> None:
        self.changes[chat, profile or ""].append((place, what))

    def _until(self, chat: str, profile: str, place: int) -> list[tuple[int, str]]:
        both = [*self.changes[chat, profile], *self.changes[chat, ""]]
        return sorted(one for one in both if one[0] < place)

    def is_surely(self, chat: str, profile: str, since: int, until: int, *, inside: bool) -> bool:
        """Whether a profile was in a chat, or not, all the time between two places."""
        sure, doubted = ("Belongs", {"Leaving", "Cut"}) if inside else ("Cut", {"Joined", "Belongs"})
        changes = self._until(chat, profile, until)
        last = max((place for place, what in changes if what == sure and place < since), default=None)
        if not inside and not changes:
            return True  # it has never been there
        return last is not None and not any(place > last and what in doubted for place, what in changes)

    def are_surely_strangers(self, one: str, other: str, since: int, until: int) -> bool:
        """Whether two profiles shared no chat at any moment between two places."""
        return all(
            any(self.is_surely(chat, each, since, until, inside=False) for each in (one, other))
            for chat in self.picture.kept
        )

    def surely_share(self, one: str, other: str, since: int, until: int) -> bool:
        """Whether there is a chat that two profiles shared all the time between two places."""
        return any(
            all(self.is_surely(chat, each, since, until, inside=True) for each in (one, other))
            for chat in self.picture.kept
        )

    def least(self, chat: str, place: int) -> int:
        return max((position for when, position in self.positions[chat] if when < place), default=0)


def known(picture: Picture) -> Iterator[Violation]:
    """What each client of all chats knows is what is stored, and it is told each thing once and in order."""
    if not picture.all(AllConnecting):
        return
    truth = _Truth(picture)
    logs = {chat: picture.log(chat) or [] for chat in picture.kept}
    clients: dict[str, Client] = {}
    connections: dict[int, _Connection] = {}
    for place, event in enumerate(picture.history):
        match event:
            case AllConnecting():
                client = clients.setdefault(event.device, Client(event.profile, picture.limits.replayed))
                client.connect(
                    has_cursor=event.has_cursor, goes_on=event.goes_on, is_restored=event.is_restored
                )
                connections[event.connection] = _Connection(place, event, client)
            case AllWatching():
                connections[event.connection].asked[event.request] = place, event.profiles
            case AllHeard():
                connection = connections[event.connection]
                if connection.is_over:
                    yield Violation("D15", f"told after its end: {event}", event.at)
                for rule, what in connection.client.take(event.frame):
                    yield Violation(rule, f"{what} to {connection.opened}", event.at)
                yield from _heard(connection, event, place, truth, logs)
            case AllEnded():
                connections[event.connection].is_over = True
            case Quiet():
                for connection in connections.values():
                    if not connection.is_over:
                        yield from _at_rest(connection, event.at, truth)
                        yield from _beside(connection, event.at, place, truth)
            case _:
                pass


def _heard(
    connection: _Connection,
    event: AllHeard,
    place: int,
    truth: _Truth,
    logs: Mapping[str, list[Said | str]],
) -> Iterator[Violation]:
    frame, opened = event.frame, connection.opened
    is_elsewhere = opened.epoch not in {None, connection.epoch}
    match frame["type"]:
        case "auth_success":
            connection.epoch = frame.get("epoch")
        case "reset" if frame["scope"] == "all":
            connection.was_reset = True
            if frame["reason"] != ("malformed" if opened.is_garbled else "epoch" if is_elsewhere else None):
                yield Violation("D13", f"{frame} to {opened}", event.at)
        case "snapshot" if frame.get("id") == FURTHER_PAGE:
            for entry in frame["chats"]:
                chat: str = entry["chat"]["id"]
                if truth.is_surely(chat, opened.profile, connection.place, place, inside=False):
                    yield Violation("D11", f"a page shows the chat {chat} to {opened}", event.at)
        case "resumed" | "cursor" if is_elsewhere and not connection.was_reset:
            yield Violation("D13", f"{frame} from another line of history to {opened}", event.at)
        case "resumed":
            connection.has_resumed = True
            if opened.is_garbled and not connection.was_reset:
                yield Violation("D13", f"resumed from nonsense: {opened}", event.at)
            for rule, what in _resumed(connection, place, truth):
                yield Violation(rule, f"{what} when this had resumed: {opened}", event.at)
        case "answer" if "watching" in frame:
            yield from _watching(connection, event, place, truth)
        case "presence_ended":
            since = connection.watched_since.pop(frame["user_id"], None)
            if since is not None and truth.surely_share(opened.profile, frame["user_id"], since, place):
                yield Violation("presence", f"{frame} to {opened}, though they share a chat", event.at)
        case "goaway":
            connection.leaves_by = event.at + frame["within"] + truth.picture.limits.goaway
        case kind if kind in DURABLE:
            log = logs.get(frame["chat_id"], [])
            stored = log[frame["position"] - 1] if frame["position"] <= len(log) else None
            if stored is None or _shown(stored) != _frame_shown(frame):
                yield Violation("D13", f"{frame} is not what is stored: {stored}", event.at)
        case _:
            pass


def _watching(connection: _Connection, event: AllHeard, place: int, truth: _Truth) -> Iterator[Violation]:
    """Those who share a chat, and nobody else; also if the request was answered late."""
    since, wanted = connection.asked[event.frame["id"]]
    own, watched = connection.opened.profile, {state["user_id"] for state in event.frame["watching"]}
    connection.watched_since = dict.fromkeys(watched, since)
    for profile in watched:
        if profile not in wanted or profile == own:
            yield Violation("presence", f"nobody asked for {profile}: {event}", event.at)
        elif truth.are_surely_strangers(own, profile, since, place):
            yield Violation("presence", f"{profile} is a stranger to {own}: {event}", event.at)
    for profile in set(wanted) - watched - {own}:
        if truth.surely_share(own, profile, since, place):
            yield Violation("presence", f"{profile} is left out: {event}", event.at)


def _beside(connection: _Connection, at: float, place: int, truth: _Truth) -> Iterator[Violation]:
    """What is told without being stored, when everything is at rest."""
    picture, opened = truth.picture, connection.opened
    if connection.leaves_by < at:
        yield Violation("goaway", f"it was to be gone at {connection.leaves_by}: {opened}", at)
    if picture.limits.typing is not None and connection.client.typing:
        yield Violation("typing", f"{[*connection.client.typing]} still type for {opened}", at)
    settled = next((i for i, event in enumerate(picture.history) if event.at > at - QUIET_FOR), place)
    online = _online(picture, opened.node, place)
    for profile, is_online in connection.client.watched.items():
        if truth.are_surely_strangers(opened.profile, profile, settled, place):
            yield Violation("presence", f"{profile} is a stranger to {opened} and still watched", at)
        elif profile in online and not is_online:
            yield Violation("presence", f"{profile} is online, and not for {opened}", at)
        elif profile not in online and is_online:
            yield Violation("presence", f"{profile} is not online, but for {opened}", at)


def _online(picture: Picture, node: str, until: int) -> set[str]:
    """The profiles with a connection to a node that was not seen to end."""
    there: dict[int, str] = {}
    for event in picture.history[:until]:
        match event:
            case Connecting() | AllConnecting() if event.node == node:
                there[event.connection] = event.profile
            case Ended() | AllEnded():
                there.pop(event.connection, None)
            case _:
                pass
    return set(there.values())


def _shown(stored: Said | str) -> object:
    return (stored.id, stored.seq, stored.author, stored.text) if isinstance(stored, Said) else stored


def _frame_shown(frame: Frame) -> object:
    if frame["type"] == "new_message":
        message = frame["message"]
        return message["id"], message["seq"], message["sender_id"], message["text"]
    return orjson.dumps(frame, option=orjson.OPT_SORT_KEYS).decode()


def _resumed(connection: _Connection, place: int, truth: _Truth) -> Iterator[Fault]:
    """Everything that anybody knew before it connected is known to it now."""
    client, since = connection.client, connection.place
    for chat in truth.picture.kept:
        mine = chat, client.profile
        known = client.chats.get(chat)
        if known is None:
            is_due = client.next is None and truth.is_surely(*mine, since, place, inside=True)
            if is_due:
                yield "D13", f"chat {chat} was not known"
            continue
        if truth.is_surely(*mine, since, place, inside=False):
            yield "D11", f"chat {chat} was still known"
        if not truth.is_surely(*mine, since, place, inside=True):
            continue
        if known.position < (least := truth.least(chat, since)):
            yield "D13", f"chat {chat} was known up to {known.position}, not {least}"
        least, most = before(truth.sure, mine, since), before(truth.tried, mine, place)
        # a mark that passes only own messages is told with the next one at the latest
        has_missed = foreign(truth.picture.kept[chat], client.profile, known.read_up_to + 1, least)
        if has_missed or known.read_up_to > most:
            yield "D9", f"{known.read_up_to} was the mark in {chat}, not {least} to {most}"


def _at_rest(connection: _Connection, at: float, truth: _Truth) -> Iterator[Violation]:
    client = connection.client
    if not connection.has_resumed or client.next is not None:
        yield Violation("D12", f"it has not resumed, or not read all pages: {connection.opened}", at)
        return
    for chat, kept in truth.picture.kept.items():
        is_in = client.profile in (kept.members or ())
        if is_in != (chat in client.chats):
            what = f"chat {chat} is {'known' if chat in client.chats else 'not known'}"
            yield Violation("D11" if chat in client.chats else "D12", f"{what} to {connection.opened}", at)
        elif is_in:
            for rule, what in _differences(client, chat, kept, truth):
                yield Violation(rule, f"{what} in {chat} for {connection.opened}", at)


def _differences(client: Client, chat: str, kept: Kept, truth: _Truth) -> Iterator[Fault]:
    known, log = client.chats[chat], truth.picture.log(chat) or []
    changes = [orjson.loads(kept.changes[position]) for position in sorted(kept.changes)]
    names = [change["name"] for change in changes if change["type"] == "chat_changed"]
    last = kept.messages[-1] if kept.messages else None
    if (known.position, known.seq, known.last) != (len(log), len(kept.messages), last and last.id):
        yield "D12", f"known up to {known.position}, message {known.seq}, of {len(log)}, {len(kept.messages)}"
        return
    if names and known.name != names[-1]:
        yield "D12", f"the name is {names[-1]}, not {known.name}"
    if known.member_count != len(kept.members or ()):
        yield "D12", f"there are {len(kept.members or ())} members, not {known.member_count}"
    mark = truth.final.get((chat, client.profile))
    if mark is None:
        return
    if known.read_up_to > mark:
        yield "D9", f"the mark is {mark}, not {known.read_up_to}"
    exact = foreign(kept, client.profile, mark + 1, len(kept.messages))
    if client.unread_of(chat) != exact:
        yield "D10", f"{exact} are unread, not {client.unread_of(chat)}"
