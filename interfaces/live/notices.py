"""
The frames that are not part of a chat's log: read receipts, presence and typing.

They have no position. A client that missed one can ask for the current state, or no longer needs it.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

from attrs import define, evolve, field

from application.ports.updates import Attendance, AttendingThere, Typing
from domain.events import MessagesRead
from domain.ids import ChatId, ProfileId
from interfaces.live.listener import Listener
from interfaces.live.neighbours import LASTS
from interfaces.live.roster import Audience, Roster
from interfaces.wire import frames
from interfaces.wire.frames import Frame

RECEIPTS_REMEMBERED: Final = 10_000

ReceiptKey = tuple[ChatId, ProfileId, int, int]


def receipt_key(chat_id: ChatId, reader_id: ProfileId, from_seq: int, to_seq: int) -> ReceiptKey:
    return chat_id, reader_id, from_seq, to_seq


@define(eq=False)
class Notices:
    _roster: Roster
    _now: Callable[[], datetime]
    _attends: Callable[[ChatId, ProfileId, Attendance], None] = lambda _chat, _profile, _change: None
    """Tells the other nodes who opens and leaves a chat here."""
    _told: dict[ReceiptKey, None] = field(init=False, factory=dict)
    """Receipts that were delivered recently: each comes twice, published and by the cursor, in either order."""

    # Receipts

    def is_known(self, key: ReceiptKey) -> bool:
        return key in self._told

    def forget(self) -> None:
        """Forgets which receipts were delivered."""
        self._told.clear()

    def note(self, read: MessagesRead) -> bool:
        """Remembers a receipt. Returns False if it was delivered already."""
        key = receipt_key(read.chat_id, read.reader_id, read.from_seq, read.to_seq)
        if key in self._told:
            return False
        self._told[key] = None
        if len(self._told) > RECEIPTS_REMEMBERED:
            del self._told[next(iter(self._told))]
        return True

    def tell_read(self, audience: Audience, read: MessagesRead) -> None:
        for missed in audience.aside.values():
            if missed is not None:
                missed.append(read)
        if not audience.live:
            return
        if read.is_single:
            self._roster.tell_profiles(audience, dict.fromkeys(read.by_author, frames.message_read(read)))
        elif audience.is_crowded:
            audience.unsaid.append(read)
        else:
            self._roster.tell(audience, frames.messages_read(read))
            self._tell_authors(audience, read)

    def tell_missed(self, audience: Audience, listener: Listener, read: MessagesRead) -> None:
        """Delivers a receipt to a listener that was still entering when the others got it."""
        is_author = listener.profile_id in read.by_author
        if read.is_single:
            if is_author:
                listener.tell(frames.message_read(read))
            return
        if not audience.is_crowded:
            listener.tell(frames.messages_read(read))
        if is_author:
            listener.tell(frames.your_messages_read(read, listener.profile_id))

    def _tell_authors(self, audience: Audience, read: MessagesRead) -> None:
        made: dict[ProfileId, Frame] = {}
        for listener in self._roster.live(audience):
            author_id = listener.profile_id
            if author_id in read.by_author:
                if author_id not in made:
                    made[author_id] = frames.your_messages_read(read, author_id)
                listener.tell(made[author_id])

    def tell_unsaid(self, audiences: Iterable[Audience]) -> None:
        """Tells authors in crowded chats who has read their messages. Called once an interval, which limits the rate."""
        for audience in audiences:
            if audience.unsaid:
                authors = {author_id for read in audience.unsaid for author_id in read.by_author}
                for listener, unsaid in self._roster.take_unsaid(audience):
                    author_id = listener.profile_id
                    if author_id in authors:
                        for read in _by_reader(unsaid, author_id):
                            listener.tell(frames.your_messages_read(read, author_id))

    # Presence and typing

    def came(self, audience: Audience, profile_id: ProfileId) -> None:
        """Tells everybody that a profile has opened the chat on this node, where it had it open nowhere before."""
        if not audience.is_crowded:
            self._attends(audience.chat_id, profile_id, Attendance.JOINED)
            if profile_id not in audience.elsewhere:
                self._tell_presence(audience, Attendance.JOINED, profile_id)

    def went(self, audience: Audience, how: Attendance, profile_id: ProfileId) -> None:
        """Tells everybody that a profile has the chat open on this node no longer."""
        if not audience.is_crowded:
            self._attends(audience.chat_id, profile_id, how)
            if profile_id not in audience.elsewhere:
                self._tell_presence(audience, how, profile_id)

    def heard(self, audience: Audience, told: AttendingThere, now: float) -> None:
        """
        Tells the listeners of this node that people have opened or left the chat on another one.

        Of a chat that has just been opened here, this node does not know yet who has it open elsewhere. What other nodes
        repeat is then no news: these people were there before the listeners.
        """
        is_old_news = told.again and now < audience.opened_at + LASTS
        for profile_id in told.profile_ids:
            was_there = self._is_there(audience, profile_id)
            if told.change is Attendance.JOINED:
                audience.elsewhere.note(profile_id, told.node, now + LASTS)
            else:
                audience.elsewhere.forget(profile_id, told.node)
            if was_there != self._is_there(audience, profile_id) and not is_old_news:
                self._tell_presence(audience, told.change, profile_id)

    def expire(self, audience: Audience, now: float) -> None:
        """Tells that people have gone of whom another node has said nothing for too long."""
        for profile_id in audience.elsewhere.expire(now):
            if not self._is_there(audience, profile_id):
                self._tell_presence(audience, Attendance.DISCONNECTED, profile_id)

    def _is_there(self, audience: Audience, profile_id: ProfileId) -> bool:
        return profile_id in audience.elsewhere or self._roster.has_present(audience, profile_id)

    def _tell_presence(self, audience: Audience, kind: Attendance, profile_id: ProfileId) -> None:
        if not audience.is_crowded:
            frame = frames.presence(kind.value, audience.chat_id, profile_id, self._now())
            self._roster.tell_present(audience, profile_id, frame)

    def tell_typing(self, audience: Audience, update: Typing) -> None:
        if audience.live:
            self._roster.tell_others(audience, update.profile_id, frames.typing(update))


def _by_reader(unsaid: Iterable[MessagesRead], author_id: ProfileId) -> Iterable[MessagesRead]:
    """Merges receipts into one for each reader, with the number of the author's messages that were read."""
    together: dict[ProfileId, MessagesRead] = {}
    for read in unsaid:
        if author_id in read.by_author:
            count = read.by_author[author_id]
            if before := together.get(read.reader_id):
                count += before.by_author[author_id]
            together[read.reader_id] = evolve(read, by_author={author_id: count})
    return together.values()
