"""The chats and messages that a client holds in memory, and how frames change them."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace

from messenger_client.changes import (
    Change,
    ChatAdded,
    ChatChanged,
    ChatRemoved,
    MarksMoved,
    NewMessage,
)
from messenger_client.frames import Fields
from messenger_client.model import Chat, Message

PREFIX = "chat:"

LATER_MOST = 2000
"""Messages of others in one chat whose numbers are remembered, for counts that lag behind them."""


class Held:
    """
    The chats of a person, and messages by position.

    Args:
        messages_most: Messages that are kept of each chat, the newest; None keeps all that were told.
    """

    def __init__(self, messages_most: int | None = 500) -> None:
        self._messages_most = messages_most
        self.profile_id = ""
        self.chats: dict[str, Chat] = {}
        self.messages: dict[str, dict[int, Message]] = {}
        self.stale: dict[str, None] = {}
        """Chats that a new list of chats has not confirmed yet."""
        self._later: dict[str, deque[int]] = {}

    def load(self, stored: Mapping[str, str]) -> None:
        for name, text in stored.items():
            if name.startswith(PREFIX):
                chat = Chat.from_text(text)
                self.chats[chat.id] = chat

    def forget(self) -> list[str]:
        """Forgets everything. Returns the ids of the chats that were known."""
        known = list(self.chats)
        self.chats.clear()
        self.messages.clear()
        self.stale.clear()
        self._later.clear()
        return known

    # Whole entries

    def take_page(self, entry: Fields) -> Iterator[Change]:
        """An entry of the list of chats."""
        self.stale.pop(entry["chat"]["id"], None)
        yield from self.take_entry(entry)

    def take_entry(self, entry: Fields) -> Iterator[Change]:
        """
        Takes an entry, unless a newer one is known. The position of a known chat stays: what lies between is told, or
        has to be read.
        """
        chat_id: str = entry["chat"]["id"]
        known = self.chats.get(chat_id)
        if known is None:
            chat = self.chats[chat_id] = Chat.read(entry)
            yield ChatAdded(chat)
            return
        if entry["position"] < known.entry["position"] or entry == known.entry:
            return
        if (entry["read_up_to"], entry["seq"]) < (known.read_up_to, known.counted):
            # it was read before the mark that was told already
            entry = {**entry, "read_up_to": known.read_up_to}
        self._later.pop(chat_id, None)
        told = max(known.told, entry["position"])
        chat = self.chats[chat_id] = replace(known, entry=entry, told=told, counted=entry["seq"])
        yield ChatChanged(chat, "snapshot")

    def replace_entry(self, entry: Fields) -> None:
        """The chat is as the entry says, and what was held beyond it was never stored."""
        chat = Chat.read(entry)
        self._later.pop(chat.id, None)
        self.chats[chat.id] = chat
        kept = self.messages.get(chat.id, {})
        self.messages[chat.id] = {at: message for at, message in kept.items() if at <= chat.position}

    def jump(self, chat_id: str) -> Chat:
        """Gives up what was missed, and goes on from what is known to be last."""
        chat = self.chats[chat_id]
        chat = self.chats[chat_id] = replace(chat, position=chat.told)
        return chat

    def remove(self, chat_id: str, reason: str) -> Iterator[Change]:
        self.messages.pop(chat_id, None)
        self._later.pop(chat_id, None)
        self.stale.pop(chat_id, None)
        if self.chats.pop(chat_id, None) is not None:
            yield ChatRemoved(chat_id, reason)

    # Durable frames

    def note(self, chat: Chat, position: int) -> None:
        """An event is known to exist, and is read later."""
        if position > chat.told:
            self.chats[chat.id] = replace(chat, told=position)

    def apply(self, frame: Fields) -> Iterator[Change]:
        """Applies the durable frame that follows the position held."""
        chat, position = self.chats[frame["chat_id"]], int(frame["position"])
        is_news = position > chat.entry["position"]
        chat = replace(chat, position=position, told=max(chat.told, position))
        kind = frame["type"]
        if is_news:
            chat = self._updated(chat, frame).with_entry(position=position)
        self.chats[chat.id] = chat
        if kind == "new_message":
            message = Message.read(frame["message"])
            self.keep(message)
            yield NewMessage(chat, message, message.sender_id == self.profile_id)
        else:
            yield ChatChanged(chat, kind)

    def _updated(self, chat: Chat, frame: Fields) -> Chat:
        match frame["type"]:
            case "new_message":
                message = frame["message"]
                unread = chat.unread_count
                if message["sender_id"] != self.profile_id:
                    unread += 1
                    self._later.setdefault(chat.id, deque(maxlen=LATER_MOST)).append(message["seq"])
                return chat.with_entry(last_message=message, seq=message["seq"], unread_count=unread)
            case "chat_changed":
                return chat.with_about(name=frame["name"], description=frame["description"])
            case "member_added":
                return chat.with_about(member_count=chat.member_count + 1)
            case "member_removed":
                return chat.with_about(member_count=chat.member_count - 1)
            case "role_changed":
                if frame["role"] == "owner":
                    chat = chat.with_about(owner={"id": frame["user_id"]})
                if frame["user_id"] == self.profile_id:
                    chat = chat.with_entry(role=frame["role"])
                return chat
            case _:
                return chat

    def keep(self, message: Message) -> None:
        """Keeps a message that was told or read, and forgets the oldest beyond the limit."""
        kept = self.messages.setdefault(message.chat_id, {})
        kept[message.position] = message
        if self._messages_most is not None and len(kept) > self._messages_most:
            del kept[min(kept)]

    # Marks

    def read_up_to(self, frame: Fields) -> Iterator[Change]:
        chat = self.chats.get(frame["chat_id"])
        if chat is None:
            return
        mark, counted = frame["seq"], frame["last_seq"]
        others = max(chat.others_read_up_to, frame.get("others_read_up_to") or 0)
        if (mark, counted) >= (chat.read_up_to, chat.counted) or mark > chat.read_up_to:
            later = [seq for seq in self._later.get(chat.id, ()) if seq > counted]
            unread = frame["unread_count"] + len(later)
            chat = replace(chat.with_entry(read_up_to=mark, unread_count=unread), counted=counted)
        elif others == chat.others_read_up_to:
            return
        chat = self.chats[chat.id] = replace(chat, others_read_up_to=others)
        yield MarksMoved(chat)

    def others_read(self, frame: Fields) -> Iterator[Change]:
        """Somebody has read messages up to one of this number. Own marks are told by `read_up_to`."""
        chat = self.chats.get(frame["chat_id"])
        if chat is None or frame["read_by"] == self.profile_id or frame["to_seq"] <= chat.others_read_up_to:
            return
        chat = self.chats[chat.id] = replace(chat, others_read_up_to=frame["to_seq"])
        yield MarksMoved(chat)
