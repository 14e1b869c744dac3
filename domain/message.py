"""What people say to each other."""

import unicodedata
from datetime import datetime
from typing import Final

from attrs import field, frozen

from domain.errors import Invalid
from domain.ids import ChatId, MessageId, ProfileId, Seq

BODY_LIMIT: Final = 4000
NONCE_LIMIT: Final = 64


class EmptyBody(Invalid):
    code = "message_empty"


class BodyTooLong(Invalid):
    code = "message_too_long"


class UnstorableText(Invalid):
    """NUL and lone surrogates: PostgreSQL cannot keep the first, UTF-8 cannot carry the second."""

    code = "unstorable_text"


class BadNonce(Invalid):
    code = "bad_nonce"


def refuse_unstorable(text: str) -> None:
    """
    Raises:
        UnstorableText: ``text`` holds NUL or a lone surrogate.
    """
    if "\0" in text:
        raise UnstorableText
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnstorableText from None


def has_something_visible(text: str) -> bool:
    """Blanks, controls and format characters (zero-width ones, direction marks) alone show nothing."""
    return any(unicodedata.category(character)[0] not in "CZ" for character in text)


def trimmed(text: str) -> str:
    return text.strip()


@frozen
class Body:
    """Text of a message: trimmed, 1 to 4 000 characters, storable, with something visible in it."""

    text: str = field(converter=trimmed)

    @text.validator
    def _fits(self, _: object, text: str) -> None:
        if len(text) > BODY_LIMIT:
            raise BodyTooLong
        refuse_unstorable(text)
        # isprintable first: it settles ordinary text in one call of C
        if not text or not (text.isprintable() or has_something_visible(text)):
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
