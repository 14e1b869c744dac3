"""How far a member has read in a chat, and how many messages are unread. A mark only moves forward."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from attrs import define, field, frozen
from attrs.setters import frozen as never

from domain.events import MessagesRead
from domain.ids import ChatId, MessageId, ProfileId, Seq


@frozen(kw_only=True)
class NewlyRead:
    """The messages that become read when a mark moves past them."""

    message_ids: Sequence[MessageId]
    """In ascending order. If there are many, only the newest are listed; `count` includes all."""
    by_author: Mapping[ProfileId, int]

    @property
    def count(self) -> int:
        return sum(self.by_author.values())


@define(eq=False, kw_only=True)
class Reading:
    """
    One profile's reading in one chat.

    Messages after the mark are unread, except one's own and those that were read singly. ``excluded`` is the number of
    these exceptions, so that the unread count is a subtraction and needs no rows to be counted.
    """

    chat_id: ChatId = field(on_setattr=never)
    profile_id: ProfileId = field(on_setattr=never)
    mark: Seq = Seq(0)
    excluded: int = 0

    def unread(self, last_seq: Seq) -> int:
        return unread_count(last_seq=last_seq, mark=self.mark, excluded=self.excluded)

    def count_own(self, count: int) -> None:
        """Records that the reader has sent ``count`` messages: one's own messages are never unread."""
        self.excluded += count

    def advance(self, to: Seq, passed: NewlyRead, *, at: datetime) -> MessagesRead | None:
        """
        Read everything up to and including ``to``, which must be the number of a message of the chat.

        ``passed`` is what was unread between the mark and ``to``. If nothing was, the mark moves all the same, and None is
        returned. A mark never moves back.
        """
        if to <= self.mark:
            return None
        start = Seq(self.mark + 1)
        self.excluded -= to - self.mark - passed.count
        self.mark = to
        if not passed.count:
            return None
        return MessagesRead(
            chat_id=self.chat_id,
            reader_id=self.profile_id,
            from_seq=start,
            to_seq=to,
            at=at,
            message_ids=passed.message_ids,
            count=passed.count,
            by_author=passed.by_author,
        )

    def read_single(
        self, seq: Seq, message_id: MessageId, author_id: ProfileId, *, is_covered: bool, at: datetime
    ) -> MessagesRead | None:
        """
        Read one message beyond the mark and nothing else. ``is_covered`` says that it was read singly before.

        Returns None if this changes nothing: it is already read, or the reader's own message.
        """
        if seq <= self.mark or is_covered or author_id == self.profile_id:
            return None
        self.excluded += 1
        return MessagesRead(
            chat_id=self.chat_id,
            reader_id=self.profile_id,
            from_seq=seq,
            to_seq=seq,
            at=at,
            message_ids=(message_id,),
            count=1,
            by_author={author_id: 1},
            is_single=True,
        )


def unread_count(*, last_seq: int, mark: int, excluded: int) -> int:
    """The number of unread messages, for views that have the columns of a `Reading` but not the object."""
    return last_seq - mark - excluded
