"""Messages: their text, and the nonce by which a repeated send is recognised."""

from datetime import datetime
from typing import Final

from attrs import field, frozen

from domain.errors import Invalid
from domain.ids import ChatId, MessageId, ProfileId, Seq
from domain.text import UnstorableText, has_something_visible, refuse_unstorable, trimmed

BODY_LIMIT: Final = 4000
NONCE_LIMIT: Final = 64


class EmptyBody(Invalid):
    code = "message_empty"


class BodyTooLong(Invalid):
    code = "message_too_long"


class BadNonce(Invalid):
    code = "bad_nonce"


@frozen
class Body:
    """The text of a message: trimmed, 1 to 4 000 characters, at least one of which is visible."""

    text: str = field(converter=trimmed)

    @text.validator
    def _fits(self, _: object, text: str) -> None:
        if len(text) > BODY_LIMIT:
            raise BodyTooLong
        refuse_unstorable(text)
        if not has_something_visible(text):
            raise EmptyBody

    @classmethod
    def unjudged(cls, text: str) -> "Body":
        """Rebuilds a body as it is stored, perhaps from before today's rules."""
        body = cls.__new__(cls)
        object.__setattr__(body, "text", text)
        return body


@frozen
class Nonce:
    """
    A client's own identifier of a message, 1 to 64 characters. Sending again with the same nonce stores nothing and
    returns the first message.
    """

    value: str = field()

    @value.validator
    def _fits(self, _: object, value: str) -> None:
        if not 1 <= len(value) <= NONCE_LIMIT:
            raise BadNonce
        try:
            refuse_unstorable(value)
        except UnstorableText:
            raise BadNonce from None


@frozen(kw_only=True)
class Message:
    id: MessageId
    chat_id: ChatId
    seq: Seq
    author_id: ProfileId
    body: Body
    nonce: Nonce | None
    """None if the author gave none; a repeat of this message is then a new message."""
    sent_at: datetime
