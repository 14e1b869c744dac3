"""
Messages that the person has sent and the server has not acknowledged yet.

One message of each chat is under way at a time, so that they are stored in the order in which they were said even if the
server refuses one of them for the moment. Messages of other chats are not held up.
"""

import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from messenger_client.errors import StorageDamaged

PREFIX = "send:"


@dataclass(slots=True)
class Entry:
    number: int
    """Grows from one message to the next, over restarts too."""
    chat_id: str
    text: str
    nonce: str
    not_before: float = 0.0
    """When it may be sent again, after the server asked for a pause."""
    is_stored: bool = True
    """True once the message is in the storage, where a restart does not lose it. It is sent only then."""

    @property
    def name(self) -> str:
        """Its name in the storage."""
        return f"{PREFIX}{self.number:012}"

    def to_text(self) -> str:
        fields = {"chat_id": self.chat_id, "text": self.text, "nonce": self.nonce}
        return json.dumps(fields, ensure_ascii=False)

    @classmethod
    def from_text(cls, name: str, text: str) -> "Entry":
        """
        Raises:
            StorageDamaged: The text is not one that `to_text` made.
        """
        try:
            fields = json.loads(text)
            number = int(name.removeprefix(PREFIX))
            return cls(number, fields["chat_id"], fields["text"], fields["nonce"])
        except (ValueError, KeyError, TypeError) as error:
            raise StorageDamaged(f"{name} cannot be read") from error


class Outbox:
    """``most_under_way`` bounds the messages that wait for an answer, over all chats."""

    def __init__(self, most_under_way: int = 32) -> None:
        self._most = most_under_way
        self._by_chat: dict[str, deque[Entry]] = {}
        self._under_way: dict[str, Entry] = {}
        self._last = 0

    def load(self, stored: Mapping[str, str]) -> None:
        for name in sorted(name for name in stored if name.startswith(PREFIX)):
            self._keep(Entry.from_text(name, stored[name]))

    def __len__(self) -> int:
        return sum(map(len, self._by_chat.values()))

    def __iter__(self) -> Iterator[Entry]:
        """The oldest first."""
        return iter(sorted((entry for chat in self._by_chat.values() for entry in chat), key=_number))

    def add(self, chat_id: str, text: str, nonce: str) -> Entry:
        """A new entry. It is sent once it `is_stored`, and holds up later ones of its chat until then."""
        entry = Entry(self._last + 1, chat_id, text, nonce, is_stored=False)
        self._keep(entry)
        return entry

    def find(self, chat_id: str, nonce: str) -> Entry | None:
        return next((entry for entry in self._by_chat.get(chat_id, ()) if entry.nonce == nonce), None)

    def _keep(self, entry: Entry) -> None:
        self._last = max(self._last, entry.number)
        self._by_chat.setdefault(entry.chat_id, deque()).append(entry)

    def take(self, now: float) -> list[Entry]:
        """Returns the entries to be sent now, and marks them as under way."""
        due = sorted((entry for entry in self._heads() if entry.not_before <= now), key=_number)
        taken = due[: self._most - len(self._under_way)]
        self._under_way.update((entry.chat_id, entry) for entry in taken)
        return taken

    def settle(self, number: int) -> Entry | None:
        """Removes an entry that was stored or refused, and returns it. Returns None if the entry is not under way."""
        entry = self._answered(number)
        if entry is not None:
            chat = self._by_chat[entry.chat_id]
            chat.remove(entry)
            if not chat:
                del self._by_chat[entry.chat_id]
        return entry

    def put_back(self, number: int, not_before: float) -> None:
        """Sends an entry again under the same nonce, before later ones of its chat, but not before a moment."""
        if (entry := self._answered(number)) is not None:
            entry.not_before = not_before

    def lose(self) -> None:
        """Handles a broken connection: entries under way may be stored or not, and are sent again."""
        self._under_way.clear()

    def next_at(self) -> float | None:
        """When an entry is due that waits for its pause."""
        if len(self._under_way) >= self._most:
            return None
        return min((entry.not_before for entry in self._heads()), default=None)

    def _heads(self) -> Iterator[Entry]:
        """Entries whose turn it is in their chats."""
        for chat_id, chat in self._by_chat.items():
            if chat_id not in self._under_way and chat[0].is_stored:
                yield chat[0]

    def _answered(self, number: int) -> Entry | None:
        for chat_id, entry in self._under_way.items():
            if entry.number == number:
                return self._under_way.pop(chat_id)
        return None


def _number(entry: Entry) -> int:
    return entry.number
