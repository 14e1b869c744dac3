"""What people say to each other."""

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
    """Text of a message: trimmed, 1 to 4 000 characters, storable, with something visible in it."""

    text: str = field(converter=trimmed)

    @text.validator
    def _fits(self, _: object, text: str) -> None:
        if len(text) > BODY_LIMIT:
            raise BodyTooLong
        refuse_unstorable(text)
        if not has_something_visible(text):
            raise EmptyBody


@frozen
class Nonce:
    """The author's own name for a message; sending again under it gives back the first. 1 to 64 characters."""

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
    """None: the author gave no name, and nothing finds this message as a repeat."""
    sent_at: datetime
