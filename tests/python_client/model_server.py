"""
A server of `WS /ws` in a few lines, for one person: what docs/protocol.md says, over lists in memory.

It is as mean as the protocol allows: cursors lie back, so that events come twice; long absences end in gaps; resumes fail; and
sends are refused, or their outcome is unknown.
"""

import json
from typing import Any

from attrs import Factory, define, field

ME = "me"
OTHER = "other"

Frame = dict[str, Any]


def person(id: str) -> Frame:
    return {"id": id, "first_name": None, "last_name": None, "middle_name": None, "username": id}


@define(eq=False)
class ModelChat:
    id: str
    name: str = "chat"
    log: list[Frame] = Factory(list)
    """Durable frames; the one at index 0 has position 1."""
    messages: list[Frame] = Factory(list)
    members: int = 2
    mark: int = 0
    is_in: bool = True

    @property
    def position(self) -> int:
        return len(self.log)

    @property
    def unread(self) -> int:
        return sum(1 for each in self.messages if each["seq"] > self.mark and each["sender_id"] != ME)

    def entry(self) -> Frame:
        return {
            "chat": {
                "id": self.id,
                "kind": "group",
                "name": self.name,
                "description": None,
                "owner": person(OTHER),
                "member_count": self.members,
                "created_at": "2026-01-01T00:00:00",
                "updated_at": "2026-01-01T00:00:00",
            },
            "role": "member",
            "last_message": self.messages[-1] if self.messages else None,
            "unread_count": self.unread,
            "read_up_to": self.mark,
            "seq": len(self.messages),
            "position": self.position,
        }

    def write(self, kind: str, **fields: Any) -> Frame:
        at = self.position
        frame = {"type": kind, "chat_id": self.id, **fields, "position": at + 1, "after": at}
        self.log.append(frame)
        return frame

    def say(self, sender: str, text: str, nonce: str | None = None) -> Frame:
        message = {
            "id": f"m{self.id}-{len(self.messages) + 1}",
            "created_at": "2026-01-01T00:00:00",
            "updated_at": "2026-01-01T00:00:00",
            "text": text,
            "sender": person(sender),
            "read_at": None,
            "sent_at": "2026-01-01T00:00:00",
            "chat_id": self.id,
            "sender_id": sender,
            "seq": len(self.messages) + 1,
            "position": self.position + 1,
            **({"nonce": nonce} if nonce else {}),
        }
        self.messages.append(message)
        return self.write("new_message", message=message)


@define(eq=False)
class ModelServer:
    epoch: int = 1
    chats: dict[str, ModelChat] = Factory(dict)
    page: int = 2
    """Chats of a page."""
    replayed: int = 6
    """Events of one chat that are replayed; more are a gap."""
    connection: "ModelConnection | None" = None
    events: list[tuple[str, int]] = Factory(list)
    """Every event in the order of all: a chat and its position, or 0 if the person joined or left it."""
    catch_ups: int = 0

    def connect(self) -> "ModelConnection":
        self.connection = ModelConnection(self)
        return self.connection

    def log(self, frame: Frame) -> None:
        chat = self.chats[frame["chat_id"]]
        self.events.append((chat.id, chat.position))
        if chat.is_in:
            self.tell(frame)

    def tell(self, frame: Frame) -> None:
        if self.connection is not None and self.connection.is_in:
            self.connection.out.append(json.dumps(frame))

    def join(self, chat_id: str) -> None:
        chat = self.chats.setdefault(chat_id, ModelChat(chat_id, is_in=False))
        if not chat.is_in:
            chat.is_in, chat.members = True, chat.members + 1
            chat.write("member_added", member=person(ME), by=OTHER)
            self.events += [(chat_id, 0), (chat_id, chat.position)]
            self.tell({"type": "chat_added", "chat_id": chat_id, "chat": chat.entry()})

    def leave(self, chat_id: str) -> None:
        chat = self.chats[chat_id]
        if chat.is_in:
            chat.is_in, chat.members = False, chat.members - 1
            chat.write("member_removed", user_id=ME, by=OTHER)
            self.events += [(chat_id, chat.position), (chat_id, 0)]
            self.tell({"type": "chat_removed", "chat_id": chat_id, "reason": "removed"})

    def mark(self, chat_id: str, seq: int) -> Frame | None:
        """Returns the frames that announce the mark; they may be sent a little later."""
        chat = self.chats[chat_id]
        if not (chat.is_in and chat.mark < seq <= len(chat.messages)):
            return None
        chat.mark = seq
        return self.reading(chat)

    def reading(self, chat: ModelChat) -> Frame:
        return {
            "type": "read_up_to",
            "chat_id": chat.id,
            "seq": chat.mark,
            "unread_count": chat.unread,
            "last_seq": len(chat.messages),
        }

    def restore(self) -> None:
        """The database is replaced by an older state of itself: the last events are lost, and so are all cursors."""
        self.epoch += 1
        for chat in self.chats.values():
            lost = chat.log[len(chat.log) // 2 :]
            for frame in reversed(lost):
                if frame["type"] in {"member_added", "member_removed"}:
                    break  # as old as the last change of members
                chat.log.pop()
                if frame["type"] == "new_message":
                    chat.messages.pop()
                else:
                    chat.name = "chat"
            names = [frame["name"] for frame in chat.log if frame["type"] == "chat_changed"]
            chat.name = names[-1] if names else "chat"
            chat.mark = min(chat.mark, len(chat.messages))
        self.events.clear()

    def cursor(self, back: int) -> str:
        return f"{self.epoch}:{max(len(self.events) - back, 0)}"


@define(eq=False)
class ModelConnection:
    server: ModelServer
    out: list[str] = Factory(list)
    """Frames on their way to the client."""
    back: int = 0
    """How far the next cursor lies back."""
    fails_resume: bool = False
    refuses: list[str] = Factory(list)
    """How the next sends are refused: a code, or ``outcome_unknown+`` if it was stored all the same."""
    is_in: bool = field(init=False, default=False)

    def hear(self, text: str) -> None:
        frame = json.loads(text)
        answer = getattr(self, f"_{frame['type']}")(frame)
        if answer is not None:
            self.out.append(json.dumps({"id": frame["id"], **answer}))

    def say(self, kind: str, **fields: Any) -> None:
        self.out.append(json.dumps({"type": kind, **fields}))

    def _mine(self) -> list[ModelChat]:
        return [chat for chat in self.server.chats.values() if chat.is_in]

    def _auth(self, frame: Frame) -> None:
        server, since = self.server, frame.get("since", {})
        epoch, _, place = since.get("cursor", "").partition(":")
        is_good = bool(since) and not self.fails_resume and int(epoch) == server.epoch
        self.say(
            "auth_success",
            user_id=ME,
            session_id="s",
            epoch=str(server.epoch),
            cursor=since["cursor"] if is_good else server.cursor(self.back),
            heartbeat_interval=25,
            limits={"text": 4000, "frame": 65536},
        )
        if is_good:
            self._replay(int(place), since.get("seen", {}))
        else:
            if since:
                self.say("reset", scope="all", reason="malformed" if self.fails_resume else "epoch")
            self._page("")
        self.is_in = True
        self.say("resumed", cursor=server.cursor(self.back))

    def _replay(self, start: int, seen: dict[str, int]) -> None:
        missed = self.server.events[start:]
        for chat_id in dict.fromkeys(chat_id for chat_id, _ in missed):
            chat = self.server.chats[chat_id]
            places = [position for other, position in missed if other == chat_id]
            is_new = 0 in places
            if is_new or not chat.is_in:
                self.say("chat_removed", chat_id=chat_id, reason="removed")
                if chat.is_in:
                    self.say("chat_added", chat_id=chat_id, chat=chat.entry())
                continue
            after = max(min(places) - 1, seen.get(chat_id, 0))
            if seen.get(chat_id, 0) > chat.position:
                self.say("reset", scope="chat", chat_id=chat_id, reason="ahead", state=chat.entry())
            elif chat.position - after > self.server.replayed:
                self.say("gap", chat_id=chat_id, after=after, before=chat.position + 1, state=chat.entry())
            else:
                self.out += map(json.dumps, chat.log[after:])
        for chat in self._mine():
            self.out.append(json.dumps(self.server.reading(chat)))

    def _page(self, after: str, **more: Any) -> None:
        """Chats in the order of their ids, so that pages do not shift."""
        mine = sorted((chat for chat in self._mine() if chat.id > after), key=lambda chat: chat.id)
        page = mine[: self.server.page]
        self.say(
            "snapshot",
            **more,
            chats=[chat.entry() for chat in page],
            next=page[-1].id if len(mine) > len(page) else None,
        )

    def _more(self, frame: Frame) -> None:
        self._page(frame["next"], id=frame["id"])

    def _ping(self, frame: Frame) -> Frame:
        return {"type": "pong"}

    def _catch_up(self, frame: Frame) -> Frame:
        self.server.catch_ups += 1
        chat = self.server.chats[frame["chat_id"]]
        if not chat.is_in:
            return {"type": "error", "code": "not_a_member", "message": "Access denied"}
        events = chat.log[frame["after"] :][:4]
        position = events[-1]["position"] if events else frame["after"]
        return {
            "type": "answer",
            "chat_id": chat.id,
            "events": events,
            "position": position,
            "has_more": bool(events) and position < chat.position,
        }

    def _send_message(self, frame: Frame) -> Frame | None:
        chat, nonce = self.server.chats[frame["chat_id"]], frame["nonce"]
        refusal = self.refuses.pop(0) if self.refuses else ""
        if refusal and not refusal.endswith("+"):
            return {"type": "error", "code": refusal, "message": "no", "nonce": nonce}
        if not chat.is_in:
            return {"type": "error", "code": "not_a_member", "message": "no", "nonce": nonce}
        first = next((each for each in chat.messages if each.get("nonce") == nonce), None)
        told = None
        if first is None:
            told = chat.say(ME, frame["text"], nonce)
            first = told["message"]
        if refusal:
            answer = {"type": "error", "code": refusal.rstrip("+"), "message": "who knows", "nonce": nonce}
        else:
            answer = {"type": "answer", "chat_id": chat.id, "message": first, "duplicate": told is None}
        self.out.append(json.dumps({"id": frame["id"], **answer}))
        if told is not None:
            self.server.log(told)
        return None
