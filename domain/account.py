"""Who signs in: by an e-mail address that was shown to be theirs, and a password."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final

from attrs import define, field, frozen
from attrs.setters import frozen as never

from domain.errors import Conflict, Forbidden, Invalid, NotFound
from domain.ids import AccountId, ConfirmationId, ProfileId
from domain.profile import Profile
from domain.text import refuse_unstorable

EMAIL_LIMIT: Final = 254
PASSWORD_LIMIT: Final = 128


class EmailIncorrect(Invalid):
    code = "email_incorrect"


class PasswordUnfit(Invalid):
    code = "password_unfit"


class PasswordCommon(PasswordUnfit):
    """Among the first that anybody would guess."""

    code = "password_common"


class PasswordWrong(Forbidden):
    """Whoever asks is signed in, and still does not know the password."""

    code = "password_wrong"


class EmailTaken(Conflict):
    """An account has this address, however it is capitalised."""

    code = "email_taken"


class AccountNotFound(NotFound):
    code = "account_not_found"


class AccountClosed(Conflict):
    """By its owner, for good."""

    code = "account_closed"


class AlreadyConfirmed(Conflict):
    code = "already_confirmed"

    def __init__(self, account_id: AccountId) -> None:
        super().__init__(account_id)
        self.account_id = account_id


@frozen
class Email:
    """
    An address as it was given. Two that differ in case alone are one address: compare ``folded``.

    The shape is the original messenger's: one ``@``, no blanks, a domain of labels whose last has two characters or
    more. Beyond that every character must be printable, so that none can break a header of a mail.
    """

    text: str = field()

    @text.validator
    def _is_an_address(self, _: object, text: str) -> None:
        # The length first: what follows takes one pass, but texts can be very long.
        if len(text) > EMAIL_LIMIT or not text.isprintable() or " " in text:
            raise EmailIncorrect
        local, _, domain = text.partition("@")
        name, _, top = domain.rpartition(".")
        if not local or not name or len(top) < 2 or "@" in domain:
            raise EmailIncorrect

    @property
    def folded(self) -> str:
        return "".join(map(_lowered, self.text))


def _lowered(character: str) -> str:
    # Only pairs that lead back. The Kelvin sign is a k in lower case, but nobody's k is a Kelvin sign: folding it would
    # make two mailboxes of different people one account.
    lower = character.lower()
    return lower if lower.upper() == character else character


LATIN_LOWER: Final = frozenset("abcdefghijklmnopqrstuvwxyz")
LATIN_UPPER: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
CYRILLIC: Final = frozenset(map(chr, range(ord("А"), ord("я") + 1)))


@frozen
class Password:
    """
    One that can be kept: 8 to 128 characters on one line. Whether it may be chosen, `PasswordRule` says.
    """

    text: str = field(repr=False)

    @text.validator
    def _is_strong_enough(self, _: object, text: str) -> None:
        if not 8 <= len(text) <= PASSWORD_LIMIT or "\n" in text:
            raise PasswordUnfit
        refuse_unstorable(text)


class PasswordPattern(StrEnum):
    """What a password must have in it. None is a regular expression: each takes one pass over 128 characters at most."""

    LETTERS = "letters"
    """The original messenger's: a-z or Cyrillic, and A-Z or Cyrillic. Cyrillic is А to я, ё is none of them."""
    LETTERS_AND_DIGIT = "letters-and-digit"
    LENGTH = "length"
    """Nothing in particular."""


@frozen(kw_only=True)
class PasswordRule:
    """What may be chosen as a password from now on. What was chosen before stays good."""

    pattern: PasswordPattern = PasswordPattern.LETTERS
    common: frozenset[str] = field(default=frozenset(), repr=False)
    """Passwords that everybody tries first, in lower case."""

    def check(self, password: Password) -> None:
        """
        Raises:
            PasswordUnfit: It lacks something; `PasswordCommon` where it is a common one, in whatever case.
        """
        text = password.text
        if self.pattern is not PasswordPattern.LENGTH and not (
            _has_one_of(text, LATIN_LOWER | CYRILLIC) and _has_one_of(text, LATIN_UPPER | CYRILLIC)
        ):
            raise PasswordUnfit
        if self.pattern is PasswordPattern.LETTERS_AND_DIGIT and not any(map(str.isdecimal, text)):
            raise PasswordUnfit
        if text.lower() in self.common:
            raise PasswordCommon


def _has_one_of(text: Iterable[str], characters: frozenset[str]) -> bool:
    return any(character in characters for character in text)


@frozen
class PasswordHash:
    text: str = field(repr=False)


@frozen(kw_only=True)
class Confirmation:
    """
    What the link of a letter stands for: that whoever follows it reads the mail of this address.

    One that was asked for at sign-up holds the password that was given with it. It waits here and not on the account, so
    that whoever signs up with somebody else's address never has the password that its owner's click activates. One that
    was asked for to reset a password holds none.
    """

    id: ConfirmationId
    account_id: AccountId
    email: Email
    password_hash: PasswordHash | None
    issued_at: datetime
    expires_at: datetime


@define(eq=False, kw_only=True)
class Account:
    """
    Unconfirmed it has no password: nobody can sign in to it. Nor has one that was confirmed by the letter for a forgotten
    password, until one is chosen.
    """

    id: AccountId = field(on_setattr=never)
    email: Email
    password_hash: PasswordHash | None = None
    created_at: datetime = field(on_setattr=never)
    confirmed_at: datetime | None = None
    closed_at: datetime | None = None
    """Its owner is gone; what is left is to be cleared away."""
    disabled_at: datetime | None = None
    """Since when an operator keeps its owner out."""

    @classmethod
    def register(
        cls, *, id: AccountId, profile_id: ProfileId, email: Email, at: datetime
    ) -> "tuple[Account, Profile]":
        """A new account, unconfirmed, and the empty profile by which others will know it."""
        return cls(id=id, email=email, created_at=at), Profile(id=profile_id, account_id=id)

    @property
    def is_confirmed(self) -> bool:
        return self.confirmed_at is not None

    def confirm(self, confirmation: Confirmation, *, at: datetime) -> None:
        """
        Take over address and password of ``confirmation``. All other confirmations of this account are void with it.

        Raises:
            AlreadyConfirmed: Another one was first.
        """
        if self.is_confirmed:
            raise AlreadyConfirmed(self.id)
        self.confirmed_at = at
        self.email = confirmation.email
        self.password_hash = confirmation.password_hash

    def vouch(self, password_hash: PasswordHash, *, at: datetime) -> None:
        """
        Confirmed without a letter: whoever made the account vouches for its address.

        Raises:
            AlreadyConfirmed: It was confirmed before.
        """
        if self.is_confirmed:
            raise AlreadyConfirmed(self.id)
        self.confirmed_at = at
        self.password_hash = password_hash

    def redeem(self, confirmation: Confirmation, *, at: datetime) -> None:
        """Take ``confirmation`` as proof of the address. It confirms the account, if nothing did so before."""
        if not self.is_confirmed:
            self.confirm(confirmation, at=at)

    def change_password(self, password_hash: PasswordHash) -> None:
        self.password_hash = password_hash

    def close(self, *, at: datetime) -> None:
        """
        Nobody signs in from now on.

        Raises:
            AccountClosed: It was closed before.
        """
        if self.closed_at is not None:
            raise AccountClosed
        self.closed_at = at
        self.password_hash = None

    def rehash(self, password_hash: PasswordHash) -> None:
        """Keep the same password, hashed as passwords are hashed today."""
        self.password_hash = password_hash
