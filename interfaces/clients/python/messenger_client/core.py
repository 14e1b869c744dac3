"""
The state machine of a client, without I/O: frames and the time go in, changes and wishes come out.

The shell carries out the wishes in their order, and reports what became of them. Nothing here waits, draws the time or knows
a socket, so that tests can drive it through anything that may happen.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from messenger_client import frames
from messenger_client.asking import PREFIX as REQUEST
from messenger_client.asking import Asked, Requests
from messenger_client.changes import (
    Change,
    Gap,
    MessageRefused,
    MessageSent,
    Presence,
    PresenceEnded,
    Reset,
    StateChanged,
    Typing,
)
from messenger_client.errors import ClientError, Ended, OutcomeUnknown, Refused, StorageDamaged
from messenger_client.frames import Fields
from messenger_client.held import PREFIX as CHAT
from messenger_client.held import Held
from messenger_client.model import Chat, moment
from messenger_client.outbox import Entry, Outbox
from messenger_client.pause import Pauses
from messenger_client.states import (
    ABNORMAL,
    NORMAL,
    REPEATED,
    State,
    Verdict,
    verdict_of,
    verdict_of_status,
)

PLACE = "place"
"""The name under which the cursor is stored."""

WATCH = "watch_presence"

SEEN_MOST = 500
"""Chats whose positions are sent with the cursor: their ids must fit into the server's limit for a frame."""

Saved = str | Chat | None
"""A value to be stored: a text, a chat that is encoded when it is written, or None to delete the name."""


# Wishes


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a socket, and report `Core.connected` or `Core.disconnected`."""


@dataclass(frozen=True, slots=True)
class Write:
    """Send a text frame on the socket."""

    text: str


@dataclass(frozen=True, slots=True)
class Close:
    """
    Close the socket with this code; `Core.disconnected` follows when it has closed. A socket that is to be closed with 1006 is
    dropped at once, and nothing more of it is reported.
    """

    code: int


@dataclass(frozen=True, slots=True)
class Refresh:
    """Get new tokens for the refresh token, and report `obtained`, `obtain_refused` or `obtain_failed`."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """The same with the password."""


@dataclass(frozen=True, slots=True)
class Tell:
    """
    Tell the application, and store ``saves`` when it has handled everything up to here. ``change`` is None if there is only
    something to store.
    """

    change: Change | None
    saves: Mapping[str, Saved] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settle:
    """The outcome of a request: the fields of its answer, or an error."""

    id: str
    outcome: Fields | ClientError


Wish = Connect | Write | Close | Refresh | SignIn | Tell | Settle


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Times are in seconds."""

    first_pause: float = 1.0
    """The bound of the first pause before coming back."""
    longest_pause: float = 60.0
    pong_timeout: float = 15.0
    """Seconds that the server has to answer a `ping`. After that the client treats the connection as dead."""
    entry_timeout: float = 30.0
    """Seconds that the server has to answer `auth`."""
    messages_most: int | None = 500
    """Messages of each chat that are kept in memory; None keeps all that were told."""
    gap_most: int | None = 10_000
    """Missed events of one chat that are read; beyond that they are left to the history. None reads all."""
    under_way: int = 32
    """Messages that wait for an answer, over all chats; one of each chat."""


@dataclass(slots=True)
class _Place:
    epoch: str
    cursor: str
    next: str | None
    """The page of chats to be read next; None when all are known."""

    def to_text(self, profile_id: str) -> str:
        fields = {"epoch": self.epoch, "cursor": self.cursor, "next": self.next, "profile_id": profile_id}
        return json.dumps(fields, separators=(",", ":"))


class Core:
    """
    Args:
        uniform: Draws a random number between two others.
        has_session: True if the client holds a refresh token.
        has_password: Whether the client can sign in by itself.
    """

    def __init__(
        self,
        uniform: Callable[[float, float], float],
        options: Options | None = None,
        *,
        has_session: bool = False,
        has_password: bool = False,
    ) -> None:
        self._uniform = uniform
        self.options = options or Options()
        self._has_session = has_session
        self._has_password = has_password
        self.state = State.STOPPED
        self.why_ended = ""
        self.held = Held(self.options.messages_most)
        self.outbox = Outbox(self.options.under_way)
        self.limits: Mapping[str, int] = {}
        """``text`` in characters and ``frame`` in bytes, as the server told them; empty before."""
        self._requests = Requests()
        self._pauses = Pauses(uniform, first=self.options.first_pause, longest=self.options.longest_pause)
        self._wishes: list[Wish] = []
        self._timers: dict[str, float] = {}
        self._token = ""
        self._token_until = 0.0
        """When the access token must not be used any more."""
        self._is_obtaining = False
        self._is_password_refused = False
        self._refused_tokens = 0
        """Access tokens that were refused since the last `auth_success`."""
        self._place: _Place | None = None
        self._epoch = ""
        self._offered: str | None = None
        """The cursor of a new client, which counts once the chats after it are known."""
        self._moved: tuple[dict[str, None], dict[str, None]] = {}, {}
        """Chats that moved since the cursor before the last one, and since the last one."""
        self._reading: dict[str, None] = {}
        """Chats whose missed events are being read."""
        self._auth_error: tuple[str, str] | None = None
        self._is_leaving = False
        """True while the client closes the socket itself, and will connect again at once."""
        self._heartbeat = 25.0
        self._watched: list[str] = []
        """People whose presence is watched, which ends with the connection."""

    # What the shell asks

    def wishes(self) -> list[Wish]:
        """Returns the wishes to be carried out now, in order. Each wish is returned once."""
        wishes, self._wishes = self._wishes, []
        return wishes

    @property
    def next_at(self) -> float | None:
        """When `tick` is to be called; None if there is nothing to wait for."""
        times = list(self._timers.values())
        if self.state is State.LIVE:
            times += [at for at in (self.outbox.next_at(), self._requests.next_at()) if at is not None]
        return min(times, default=None)

    @property
    def token(self) -> str:
        """The access token; empty if there is none."""
        return self._token

    def has_token(self, now: float) -> bool:
        return bool(self._token) and now < self._token_until

    # Life

    def load(self, stored: Mapping[str, str]) -> None:
        """
        Takes over what an earlier client stored.

        Raises:
            StorageDamaged: Something is stored that this package did not write.
        """
        self.outbox.load(stored)
        if PLACE not in stored:
            return
        try:
            fields = json.loads(stored[PLACE])
            place = _Place(fields["epoch"], fields["cursor"], fields["next"])
            self.held.profile_id = fields["profile_id"]
        except (ValueError, KeyError, TypeError) as error:
            raise StorageDamaged("the place of the client cannot be read") from error
        self._epoch = place.epoch
        self.held.load(stored)
        if place.next is None:
            self._place = place  # else it stopped within the list of chats, and reads that anew
        newest = sorted(self.held.chats.values(), key=lambda chat: chat.position, reverse=True)
        self._moved[0].update((chat.id, None) for chat in newest)

    def start(self, now: float) -> None:
        if self.state in {State.STOPPED, State.ENDED}:
            self._refused_tokens, self._is_password_refused = 0, False
            self._approach(now)

    def stop(self) -> None:
        """Ends in order. What waits in the outbox stays there for the next start."""
        had_socket = self.state.has_socket
        self._enter_state(State.STOPPED)
        self._timers.clear()
        self._let_go()
        self._fail_requests(Ended("the client was stopped"))
        if had_socket:
            self._wish(Close(NORMAL))

    def tick(self, now: float) -> None:
        """Does what is due by now."""
        for name in [name for name, at in self._timers.items() if at <= now]:
            if self._timers.pop(name, None) is not None:
                getattr(self, f"_on_{name}")(now)
        self._pump(now)

    def _approach(self, now: float) -> None:
        self._timers.pop("pause", None)
        if self.has_token(now):
            self._enter_state(State.CONNECTING)
            self._wish(Connect())
        else:
            self._enter_state(State.REFRESHING)
            self._obtain()

    def _wait(self, now: float, why: str, at_least: float | None = None) -> None:
        self._enter_state(State.WAITING, why)
        self._timers["pause"] = now + self._pauses.next(at_least)

    def _on_pause(self, now: float) -> None:
        self._approach(now)

    def _end(self, why: str) -> None:
        self.why_ended = why
        self._timers.clear()
        self._enter_state(State.ENDED, why)
        self._fail_requests(Ended(why))

    def _enter_state(self, state: State, why: str = "") -> None:
        if state is not self.state:
            self.state = state
            self._tell(StateChanged(state, why))

    # Tokens

    def _obtain(self) -> None:
        """Asks for new tokens, unless that is under way already."""
        if self._is_obtaining:
            return
        if self._has_session:
            self._is_obtaining = True
            self._wish(Refresh())
        elif self._can_sign_in:
            self._is_obtaining = True
            self._wish(SignIn())
        elif self.state is State.REFRESHING:
            self._end("signed out")

    @property
    def _can_sign_in(self) -> bool:
        return self._has_password and not self._is_password_refused

    def want_token(self) -> None:
        """Asks for a fresh access token on behalf of the application."""
        self._obtain()

    def obtained(self, now: float, token: str, expires_in: float) -> None:
        """New tokens, the refresh token among them stored. ``expires_in`` counts from ``now``."""
        self._is_obtaining, self._has_session = False, True
        self._token, self._token_until = token, now + max(0.9 * expires_in, 5.0)
        self._timers["refresh"] = self._token_until
        if self.state is State.REFRESHING:
            self._approach(now)
        elif self.state in {State.STOPPED, State.ENDED}:
            self._timers.clear()

    def obtain_refused(self, why: str) -> None:
        """Reports that the server refused the refresh token, or the password."""
        self._is_obtaining = False
        self._token = ""
        if self._has_session:
            self._has_session = False
            if self._can_sign_in:
                self._obtain()
                return
        else:
            self._is_password_refused = True
        if self.state is State.REFRESHING:
            self._end(why)

    def obtain_failed(self, now: float, why: str, retry_after: float | None = None) -> None:
        """Reports that the server did not answer, or is overloaded."""
        self._is_obtaining = False
        if self.state is State.REFRESHING:
            self._wait(now, why, retry_after)
        elif self.state not in {State.STOPPED, State.ENDED}:
            self._timers["refresh"] = now + self._pauses.next(retry_after)

    def _on_refresh(self, _now: float) -> None:
        self._obtain()

    def _token_refused(self, now: float, why: str) -> None:
        self._token = ""
        self._refused_tokens += 1
        if self._refused_tokens > 1 and not (self._refused_tokens == 2 and self._can_sign_in):
            self._end(why)
            return
        if self._refused_tokens > 1:
            self._has_session = False  # a refreshed token was refused too: only the password is left
        self._approach(now)

    # The socket

    def connected(self, now: float) -> None:
        if self.state is not State.CONNECTING:
            self._wish(Close(NORMAL))
            return
        self._auth_error, self._offered, self._is_leaving = None, None, False
        since: dict[str, Any] = {}
        if self._place is not None:
            moved = [*self._moved[1], *self._moved[0]]
            known = {
                chat_id: self.held.chats[chat_id].position for chat_id in moved if chat_id in self.held.chats
            }
            seen = dict(list(known.items())[:SEEN_MOST])
            since = {"since": {"cursor": self._place.cursor, **({"seen": seen} if seen else {})}}
        self._enter_state(State.AUTHENTICATING)
        self._timers["dead"] = now + self.options.entry_timeout
        self._wish(Write(frames.write("auth", token=self._token, **since)))

    def disconnected(
        self,
        now: float,
        code: int = ABNORMAL,
        reason: str = "",
        *,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        """
        The socket has closed, or did not open. ``status`` is that of a handshake that was answered with something else than
        a socket.
        """
        is_leaving = self._is_leaving
        self._let_go()
        if not (self.state.has_socket or self.state is State.CONNECTING):
            return
        self._lose_requests()
        why = f"HTTP status {status}" if status else f"closed with {code} {reason}".rstrip()
        verdict = verdict_of_status(status) if status else verdict_of(code)
        if is_leaving and verdict is Verdict.COME_BACK:
            self._approach(now)
        elif verdict is Verdict.COME_BACK:
            self._wait(now, why, retry_after if retry_after is not None else _pause_in(code, reason))
        elif verdict is Verdict.SIGN_IN:
            self._token_refused(now, why)
        elif verdict is Verdict.BY_CODE and self._auth_error is not None:
            self._by_auth_error(now, *self._auth_error)
        else:
            self._end(why)

    def _by_auth_error(self, now: float, code: str, message: str) -> None:
        match code:
            case "token_expired":
                self._token = ""
                self._approach(now)
            case "token_invalid" | "token_type":
                self._token_refused(now, f"{code}: {message}")
            case "auth_timeout":
                self._wait(now, code)
            case _:
                self._end(f"{code}: {message}")

    def _let_go(self) -> None:
        for name in ("dead", "idle", "leave"):
            self._timers.pop(name, None)
        self._is_leaving = False
        self._reading.clear()
        self.outbox.lose()

    def _on_dead(self, now: float) -> None:
        self._drop(now, "nothing was heard")

    def _drop(self, now: float, why: str) -> None:
        self._wish(Close(ABNORMAL))
        self.disconnected(now, ABNORMAL, why)

    def _on_idle(self, now: float) -> None:
        self._wish(Write(frames.write("ping", id="idle")))
        self._timers["dead"] = now + self.options.pong_timeout

    def _on_leave(self, _now: float) -> None:
        self._is_leaving = True
        self._wish(Close(NORMAL))

    # Frames

    def heard(self, now: float, text: str) -> None:
        """One text frame of the server. What is no frame, or of an unknown type, is ignored."""
        if not self.state.has_socket:
            return
        frame = frames.read(text)
        if frame is None:
            return
        if self.state is not State.AUTHENTICATING:
            self._timers.pop("dead", None)
            self._timers["idle"] = now + self._heartbeat
        try:
            self._hear(now, frame)
        except (KeyError, TypeError, ValueError) as error:
            self._drop(now, f"a frame of type {frame['type']} could not be read: {error!r}")
        self._pump(now)

    def _hear(self, now: float, frame: Fields) -> None:
        if frames.is_durable(frame):
            self._durable(frame)
        elif hear := getattr(self, f"_hear_{frame['type']}", None):
            hear(now, frame)

    def _hear_auth_success(self, now: float, frame: Fields) -> None:
        self._refused_tokens = 0
        self._timers.pop("dead", None)
        self._heartbeat = float(frame["heartbeat_interval"])
        self._timers["idle"] = now + self._heartbeat
        self.limits = frame["limits"]
        self._offered = frame["cursor"]
        if self.held.profile_id not in {"", frame["user_id"]}:
            self._forget()  # the storage was that of somebody else
        self.held.profile_id = frame["user_id"]
        if self._place is None and self._epoch not in {"", frame["epoch"]}:
            self._forget()
        self._epoch = frame["epoch"]
        self._enter_state(State.ENTERING)

    def _hear_auth_error(self, _now: float, frame: Fields) -> None:
        self._auth_error = frame.get("code", ""), frame.get("message", "")

    def _hear_reset(self, _now: float, frame: Fields) -> None:
        if frame["scope"] == "chat":
            self.held.replace_entry(frame["state"])
            self._reading.pop(frame["chat_id"], None)
            self._tell(Reset(frame["chat_id"], frame["reason"], is_forgotten=True), frame["chat_id"])
            return
        was_of = self._place.epoch if self._place else self._epoch
        self._place = None
        is_forgotten = was_of != self._epoch
        if is_forgotten:
            self._forget()
        self._tell(Reset(None, frame["reason"], is_forgotten=is_forgotten))

    def _hear_snapshot(self, _now: float, frame: Fields) -> None:
        if "id" in frame:
            self._requests.waiting.pop(frame["id"], None)
        elif self._offered is not None:
            self._place = _Place(self._epoch, self._offered, None)
            self._moved = {}, {}
            self.held.stale = dict.fromkeys(self.held.chats)
        if self._place is None:
            return
        self._place.next = frame["next"]
        for entry in frame["chats"]:
            for change in self.held.take_page(entry):
                self._tell(change, entry["chat"]["id"])
        if frame["next"] is None:
            for chat_id in list(self.held.stale):
                self._remove(chat_id, "unknown")
        self._keep_place()
        if self.state is State.LIVE:
            self._read_missed()
            self._read_pages()

    def _hear_resumed(self, _now: float, frame: Fields) -> None:
        self._pauses.reset()
        self._adopt(frame["cursor"])
        self._enter_state(State.LIVE)
        self._read_missed()
        self._read_pages()
        is_asked = any(asked.kind == WATCH for asked in self._requests.waiting.values())
        if self._watched and not is_asked:
            self._requests.add(WATCH, {"profile_ids": self._watched}, is_own=True)

    def _hear_cursor(self, _now: float, frame: Fields) -> None:
        self._adopt(frame["cursor"])

    def _adopt(self, cursor: str) -> None:
        if self._place is not None:
            self._place.cursor = cursor
            self._moved = self._moved[1], {}
            self._keep_place()

    def _hear_chat_added(self, _now: float, frame: Fields) -> None:
        for change in self.held.take_page(frame["chat"]):
            self._tell(change, frame["chat_id"])
        self._start_reading(frame["chat_id"])

    def _hear_chat_removed(self, _now: float, frame: Fields) -> None:
        self._remove(frame["chat_id"], frame["reason"])

    def _hear_read_up_to(self, _now: float, frame: Fields) -> None:
        for change in self.held.read_up_to(frame):
            self._tell(change, frame["chat_id"])

    def _hear_messages_read(self, _now: float, frame: Fields) -> None:
        for change in self.held.others_read(frame):
            self._tell(change, frame["chat_id"])

    def _hear_typing(self, _now: float, frame: Fields) -> None:
        self._tell(Typing(frame["chat_id"], frame["user_id"], bool(frame["is_typing"])))

    def _hear_presence(self, _now: float, frame: Fields) -> None:
        self._tell(presence(frame))

    def _hear_presence_ended(self, _now: float, frame: Fields) -> None:
        self._watched = [id for id in self._watched if id != frame["user_id"]]
        self._tell(PresenceEnded(frame["user_id"]))

    def _hear_goaway(self, now: float, frame: Fields) -> None:
        # a little is kept back, so that the farewell arrives in time
        self._timers.setdefault("leave", now + self._uniform(0, 0.9 * float(frame["within"])))

    def _hear_gap(self, _now: float, frame: Fields) -> None:
        chat_id = frame["chat_id"]
        for change in self.held.take_entry(frame["state"]):
            self._tell(change, chat_id)
        chat = self.held.chats[chat_id]
        if chat.is_behind:
            is_read = self._is_read(chat)
            self._tell(Gap(chat_id, chat.position, chat.told + 1, is_read=is_read))
            self._start_reading(chat_id)

    # Durable frames, and what was missed of them

    def _durable(self, frame: Fields) -> None:
        chat = self.held.chats.get(frame["chat_id"])
        if chat is None or frame["position"] <= chat.position:
            return
        if chat.id in self._reading or frame["after"] > chat.position:
            self.held.note(chat, frame["position"])
            self._start_reading(chat.id)
        else:
            self._apply(frame)

    def _apply(self, frame: Fields) -> None:
        chat_id = frame["chat_id"]
        self._moved[1][chat_id] = None
        for change in self.held.apply(frame):
            self._tell(change, chat_id)

    def _is_read(self, chat: Chat) -> bool:
        most = self.options.gap_most
        return most is None or chat.told - chat.position <= most

    def _read_missed(self) -> None:
        for chat in list(self.held.chats.values()):
            self._start_reading(chat.id)

    def _start_reading(self, chat_id: str) -> None:
        """Reads what was missed of a chat, once the client is live."""
        chat = self.held.chats.get(chat_id)
        if chat is None or not chat.is_behind or chat_id in self._reading or self.state is not State.LIVE:
            return
        if self._is_read(chat):
            self._reading[chat_id] = None
            self._requests.add("catch_up", {"chat_id": chat_id, "after": chat.position}, is_own=True)
        else:
            self._jump(chat_id)

    def _jump(self, chat_id: str) -> None:
        self.held.jump(chat_id)
        self._moved[1][chat_id] = None
        self._tell(None, chat_id)

    def _caught_up(self, asked: Asked, frame: Fields) -> None:
        chat_id = asked.fields["chat_id"]
        self._reading.pop(chat_id, None)
        before = self.held.chats.get(chat_id)
        for event in frame["events"]:
            chat = self.held.chats.get(chat_id)
            if chat is None:
                return
            if event["position"] > chat.position:
                self._apply(event)
        chat = self.held.chats.get(chat_id)
        if chat is None or before is None or not chat.is_behind:
            return
        if chat.position > before.position:
            self._start_reading(chat_id)
        else:
            self._jump(chat_id)  # the server has nothing there

    # Pages of chats

    def _read_pages(self) -> None:
        if self._place is None or self._place.next is None:
            return
        if not any(asked.kind == "more" for asked in self._requests.waiting.values()):
            self._requests.add("more", {"next": self._place.next}, is_own=True)

    # Answers

    def _hear_answer(self, _now: float, frame: Fields) -> None:
        id = frame.get("id")
        if not isinstance(id, str):
            return
        if id.startswith(REQUEST):
            asked = self._requests.waiting.pop(id, None)
            if asked is not None and asked.is_own and asked.kind == "catch_up":
                self._caught_up(asked, frame)
            elif asked is not None and asked.is_own and asked.kind == WATCH:
                for fields in frame["watching"]:
                    self._tell(presence(fields))
            elif asked is not None and not asked.is_own:
                self._wish(Settle(id, {name: frame[name] for name in frame if name not in {"type", "id"}}))
        elif (entry := self._settle(id)) is not None:
            message = frame["message"]
            self._tell_sent(
                entry, message["id"], message["seq"], message["position"], bool(frame["duplicate"])
            )

    def _hear_error(self, now: float, frame: Fields) -> None:
        id, code = frame.get("id"), str(frame.get("code"))
        if not isinstance(id, str):
            return
        retry_after = frame.get("retry_after")
        pause = None
        if code in REPEATED or retry_after is not None:
            pause = now + float(retry_after if retry_after is not None else self._uniform(0, 1))
        if not id.startswith(REQUEST):
            self._refused_send(id, pause, code, frame)
            return
        asked = self._requests.waiting.get(id)
        if asked is None:
            return
        if pause is not None and (asked.is_harmless or code != "outcome_unknown"):
            self._requests.put_back(asked, pause)
            return
        del self._requests.waiting[id]
        if asked.is_own:
            self._own_refused(now, asked)
        elif code == "outcome_unknown":
            self._wish(Settle(id, OutcomeUnknown(str(frame.get("message")))))
        else:
            more = {
                name: value for name, value in frame.items() if name not in {"type", "id", "code", "message"}
            }
            self._wish(Settle(id, Refused(code, str(frame.get("message")), more)))

    def _own_refused(self, now: float, asked: Asked) -> None:
        if asked.kind == "more":
            self._place = None  # the list of chats begins anew
            self._drop(now, "a page of chats was refused")
        elif asked.kind == "catch_up":
            self._reading.pop(asked.fields["chat_id"], None)

    # Requests of the application

    def ask(self, now: float, kind: str, fields: Mapping[str, Any]) -> str:
        """
        Makes a request. Its `Settle` comes later under the id that this returns.

        Raises:
            Ended: The client is not running.
        """
        if self.state in {State.STOPPED, State.ENDED}:
            raise Ended(self.why_ended or "the client is not running")
        if kind == WATCH:
            self._watched = list(fields["profile_ids"])
        asked = self._requests.add(kind, fields)
        self._pump(now)
        return asked.id

    def forget_request(self, id: str) -> None:
        """Drops a request whose caller no longer waits for the answer."""
        self._requests.waiting.pop(id, None)

    def stored(self, now: float, entry: Entry) -> None:
        """A message of the outbox survives the client now: it is sent as soon as it is its turn."""
        entry.is_stored = True
        self._pump(now)

    def _pump(self, now: float) -> None:
        """Sends what waits and may be sent."""
        if self.state is not State.LIVE or self._is_leaving:
            return
        for asked in self._requests.take(now):
            self._wish(Write(frames.write(asked.kind, id=asked.id, **asked.fields)))
        for entry in self.outbox.take(now):
            self._wish(
                Write(
                    frames.write(
                        "send_message",
                        id=f"s{entry.number}",
                        chat_id=entry.chat_id,
                        text=entry.text,
                        nonce=entry.nonce,
                    )
                )
            )

    def _settle(self, id: str) -> Entry | None:
        return self.outbox.settle(int(id[1:])) if id[:1] == "s" and id[1:].isdecimal() else None

    def _refused_send(self, id: str, pause: float | None, code: str, frame: Fields) -> None:
        if pause is not None and id[1:].isdecimal():
            self.outbox.put_back(int(id[1:]), pause)
        elif (entry := self._settle(id)) is not None:
            refused = MessageRefused(entry.chat_id, entry.nonce, entry.text, code, str(frame.get("message")))
            self._wish(Tell(refused, {entry.name: None}))

    def _tell_sent(self, entry: Entry, id: str, seq: int, position: int, is_duplicate: bool) -> None:
        sent = MessageSent(entry.chat_id, entry.nonce, id, seq, position, is_duplicate)
        self._wish(Tell(sent, {entry.name: None}))

    def _lose_requests(self) -> None:
        for asked in self._requests.lose():
            self._wish(Settle(asked.id, OutcomeUnknown("the connection broke before the answer came")))

    def _fail_requests(self, error: ClientError) -> None:
        for asked in self._requests.waiting.values():
            if not asked.is_own:
                self._wish(Settle(asked.id, error))
        self._requests.waiting.clear()

    # What is told and stored

    def _tell(self, change: Change | None, chat_id: str | None = None) -> None:
        saves: Mapping[str, Saved] = {}
        if chat_id is not None:
            saves = {f"{CHAT}{chat_id}": self.held.chats.get(chat_id)}
        self._wish(Tell(change, saves))

    def _remove(self, chat_id: str, reason: str) -> None:
        self._reading.pop(chat_id, None)
        for change in self.held.remove(chat_id, reason):
            self._tell(change, chat_id)

    def _forget(self) -> None:
        self._place = None
        self._moved = {}, {}
        self._reading.clear()
        saves = dict.fromkeys((f"{CHAT}{chat_id}" for chat_id in self.held.forget()), None)
        self._wish(Tell(None, {PLACE: None, **saves}))

    def _keep_place(self) -> None:
        """Stores the cursor, and which chats were not read up to it: no later resume tells what they miss."""
        if self._place is not None:
            behind: dict[str, Saved] = {
                f"{CHAT}{chat.id}": chat for chat in self.held.chats.values() if chat.is_behind
            }
            self._wish(Tell(None, {PLACE: self._place.to_text(self.held.profile_id), **behind}))

    def _wish(self, wish: Wish) -> None:
        self._wishes.append(wish)


def presence(fields: Fields) -> Presence:
    seen = fields.get("last_seen_at")
    return Presence(fields["user_id"], bool(fields["online"]), moment(seen) if seen else None)


def _pause_in(code: int, reason: str) -> float | None:
    """The pause that the reason of a close with 1013 names, as in ``try again in 1 s``."""
    if code != 1013:
        return None
    numbers = [float(word) for word in reason.split() if word.replace(".", "", 1).isdecimal()]
    return numbers[0] if numbers else None
