"""The permissions of programs that act for a person, with an access token of their own."""

from collections.abc import Collection
from enum import StrEnum
from typing import Final

from attrs import field, frozen

from domain.errors import Conflict, Forbidden, Invalid, NotFound
from domain.text import refuse_unstorable

NAME_LIMIT: Final = 60


class Scope(StrEnum):
    """A permission of a token, beside reading, which every token permits."""

    MESSAGES = "messages"
    """Send messages, mark them as read, and show that one is typing."""
    CHATS = "chats"
    """Create, change, leave and delete chats, and change their members."""


class ScopeMissing(Forbidden):
    """A token does not permit this. Accounts, sessions, passwords and profiles are changed on devices alone."""

    code = "scope_missing"


class TokenNameUnfit(Invalid):
    code = "token_name_unfit"


class AccessTokenNotFound(NotFound):
    code = "access_token_not_found"


class AccessTokensUnavailable(Conflict):
    """The operator of this messenger has not switched access tokens for programs on."""

    code = "access_tokens_unavailable"


class TooManyAccessTokens(Conflict):
    """The account has as many as it may have: end one first."""

    code = "too_many_access_tokens"


@frozen
class TokenName:
    """The name by which a person tells access tokens apart: 1 to 60 printable characters."""

    text: str = field()

    @text.validator
    def _is_one_line(self, _: object, text: str) -> None:
        if not text.strip() or len(text) > NAME_LIMIT or not text.isprintable():
            raise TokenNameUnfit
        refuse_unstorable(text)


@frozen
class Grant:
    """The permission of a session that is a program's, not a device's."""

    name: TokenName
    scopes: frozenset[Scope]

    @classmethod
    def of(cls, name: str, scopes: Collection[str]) -> "Grant":
        return cls(TokenName(name), frozenset(map(Scope, scopes)))
