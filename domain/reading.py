"""How far a member has read, and what that leaves unread. It only ever moves forward."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from attrs import define, field, frozen
from attrs.setters import frozen as never

from domain.events import MessagesRead
from domain.ids import ChatId, MessageId, ProfileId, Seq


@frozen(kw_only=True)
class Passed:
    """What lies between a mark and where it is to move: only what was unread until now."""

    message_ids: Sequence[MessageId]
    """The newest, ascending, a bounded number."""
    by_author: Mapping[ProfileId, int]

    @property
    def count(self) -> int:
        return sum(self.by_author.values())


@define(eq=False, kw_only=True)
class Reading:
    """
    One profile's reading in one chat.

    Unread is what comes after the mark and counts: not one's own, not deleted, not read singly before. ``less`` is how
    many messages after the mark do not count, so that unread is arithmetic and no count of rows.
    """

    chat_id: ChatId = field(on_setattr=never)
    profile_id: ProfileId = field(on_setattr=never)
    mark: Seq = Seq(0)
    less: int = 0

    def unread(self, last_seq: Seq) -> int:
        return last_seq - self.mark - self.less

    def advance(self, to: Seq, passed: Passed, *, at: datetime) -> MessagesRead | None:
        """
        Read everything up to and including ``to``, which must be a message of the chat.

        ``passed`` is what was unread after the mark up to ``to``. None: nothing was; the mark moves all the same.
        """
        if to <= self.mark:
            return None
        start = Seq(self.mark + 1)
        self.less -= to - self.mark - passed.count
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
        Read one message beyond the mark and nothing else. None: there is nothing to it, as it counts already or not.

        ``is_covered``: it was read singly before.
        """
        if seq <= self.mark or is_covered or author_id == self.profile_id:
            return None
        self.less += 1
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
