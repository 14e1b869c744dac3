"""Accounts: how a person signs in, with a confirmed e-mail address and a password."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final

import idna
from attrs import define, field, frozen
from attrs.setters import frozen as never

from domain.errors import Conflict, Forbidden, Invalid, NotFound
from domain.ids import AccountId, ConfirmationId, ProfileId
from domain.profile import Profile
from domain.text import DEFAULT_IGNORABLE, refuse_unstorable

EMAIL_LIMIT: Final = 254
LOCAL_PART_LIMIT: Final = 64
"""Octets before the ``@`` (RFC 5321, section 4.5.3.1.1)."""

# An atom of RFC 5322, or of RFC 6531 where it is not ASCII.
DOT_ATOM: Final = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*")
PASSWORD_LEAST: Final = 8
PASSWORD_LIMIT: Final = 128


class EmailIncorrect(Invalid):
    code = "email_incorrect"


class PasswordUnfit(Invalid):
    code = "password_unfit"


class PasswordCommon(PasswordUnfit):
    """The password is one of those that attackers try first."""

    code = "password_common"


class PasswordWrong(Forbidden):
    """A signed-in person gave a wrong password where it is asked for again."""

    code = "password_wrong"


class EmailTaken(Conflict):
    """An account has this address, perhaps in another spelling."""

    code = "email_taken"


class AccountNotFound(NotFound):
    code = "account_not_found"


class AccountClosed(Conflict):
    """Its owner has closed the account, which cannot be undone."""

    code = "account_closed"


class AccountShut(Forbidden):
    """The account is unconfirmed, closed or disabled; nobody may sign in to it."""

    code = "account_shut"


class AlreadyConfirmed(Conflict):
    code = "already_confirmed"

    def __init__(self, account_id: AccountId) -> None:
        super().__init__(account_id)
        self.account_id = account_id


@frozen(kw_only=True)
class Mailbox:
    """An address as a mail server gets it: the local part in Normalization Form C, and the domain in ASCII."""

    local_part: str
    domain: str


@frozen
class Email:
    """
    An address as it was given. Spellings of one address have the same `folded`.

    The shape is the original messenger's: one ``@``, no blanks, a domain of labels whose last has two characters or
    more. Beyond that every character must be printable, so that none can break a header of a mail. `mailbox` is
    stricter, and is asked for before an account is made.
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
        """
        The form in which addresses are compared: the domain by UTS #46 as A-labels, the part before it in Normalization
        Form C and lower case. A domain that UTS #46 does not allow is put in lower case alone.
        """
        local, _, domain = self.text.partition("@")
        return f"{_lower(unicodedata.normalize('NFC', local))}@{_a_labels(domain) or _lower(domain)}"

    @property
    def spellings(self) -> tuple[str, ...]:
        """
        `folded`, and before it the form that addresses were compared in until UTS #46 was applied, where that differs. Two
        accounts may have been made under both then, and each is still found by its own.
        """
        former, present = _lower(self.text), self.folded
        return (present,) if former == present else (former, present)

    def mailbox(self) -> Mailbox:
        """
        Raises:
            EmailIncorrect: No mail can be sent to this address.
        """
        local, _, domain = self.text.partition("@")
        local, ascii_domain = unicodedata.normalize("NFC", local), _a_labels(domain)
        if ascii_domain is None or ascii_domain.rpartition(".")[2].isdigit():
            raise EmailIncorrect
        if not DOT_ATOM.fullmatch(local) or len(local.encode()) > LOCAL_PART_LIMIT:
            raise EmailIncorrect
        # Encoded words would be decoded inside an address by Python's e-mail parser, line breaks included.
        if "=?" in local or not DEFAULT_IGNORABLE.isdisjoint(local):
            raise EmailIncorrect
        return Mailbox(local_part=local, domain=domain if domain.isascii() else ascii_domain)


def _a_labels(domain: str) -> str | None:
    try:
        return idna.encode(domain, uts46=True, std3_rules=True).decode("ascii").lower()
    except idna.IDNAError:
        return None


def _lower(text: str) -> str:
    return "".join(map(_lowered, text))


def _lowered(character: str) -> str:
    # Only letters whose lower case maps back to them. The Kelvin sign becomes a k, but a k never becomes a Kelvin sign:
    # folding it would merge the mailboxes of two people into one account.
    lower = character.lower()
    return lower if lower.upper() == character else character


LATIN_LOWER: Final = frozenset("abcdefghijklmnopqrstuvwxyz")
LATIN_UPPER: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
CYRILLIC: Final = frozenset(map(chr, range(ord("А"), ord("я") + 1)))


@frozen
class Password:
    """
    A new password: 8 to 128 characters on one line. `PasswordRule` decides whether it may be chosen.
    """

    text: str = field(repr=False)

    @text.validator
    def _is_strong_enough(self, _: object, text: str) -> None:
        if not PASSWORD_LEAST <= len(text) <= PASSWORD_LIMIT or "\n" in text:
            raise PasswordUnfit
        refuse_unstorable(text)


def password_spellings(text: str) -> tuple[str, ...]:
    """
    The forms of a typed password that may have been hashed, the one to hash today first: Normalization Form KC (NIST SP
    800-63B, section 5.1.1.2), because keyboards disagree on how an accented letter is composed. Hashes from before this
    rule are of the text as it was typed.
    """
    normalised = unicodedata.normalize("NFKC", text)
    return (normalised,) if normalised == text else (normalised, text)


class PasswordPattern(StrEnum):
    """The characters that a password must contain. The check takes one pass, without regular expressions."""

    LETTERS = "letters"
    """The original messenger's rule: a-z or Cyrillic, and A-Z or Cyrillic. Cyrillic means А to я, without ё."""
    LETTERS_AND_DIGIT = "letters-and-digit"
    LENGTH = "length"
    """Nothing beyond the length."""

    @property
    def wording(self) -> tuple[str, str]:
        """The rule for people, in Russian and in English, as it continues a sentence."""
        russian, english = {
            PasswordPattern.LETTERS: (
                ", с русской буквой или с латинскими строчной и заглавной",
                ", with a Cyrillic letter or both a small and a capital Latin one",
            ),
            PasswordPattern.LETTERS_AND_DIGIT: (
                ", с цифрой, и с русской буквой или с латинскими строчной и заглавной",
                ", with a digit, and with a Cyrillic letter or both a small and a capital Latin one",
            ),
            PasswordPattern.LENGTH: ("", ""),
        }[self]
        least, most = PASSWORD_LEAST, PASSWORD_LIMIT
        return f"от {least} до {most} знаков{russian}", f"{least} to {most} characters{english}"


@frozen(kw_only=True)
class PasswordRule:
    """Which passwords may be chosen from now on. Passwords that were chosen before stay valid."""

    pattern: PasswordPattern = PasswordPattern.LETTERS
    common: frozenset[str] = field(default=frozenset(), repr=False)
    """Well-known passwords that are refused, in lower case."""

    def check(self, password: Password) -> None:
        """
        Raises:
            PasswordUnfit: The password lacks something that `pattern` asks for.
            PasswordCommon: The password is a common one, in whatever case.
        """
        text = password.text
        if self.pattern is not PasswordPattern.LENGTH and not (
            _has_one_of(text, LATIN_LOWER | CYRILLIC) and _has_one_of(text, LATIN_UPPER | CYRILLIC)
        ):
            raise PasswordUnfit
        if self.pattern is PasswordPattern.LETTERS_AND_DIGIT and not any(map(str.isdecimal, text)):
            raise PasswordUnfit
        if password_spellings(text)[0].lower() in self.common:
            raise PasswordCommon


def _has_one_of(text: Iterable[str], characters: frozenset[str]) -> bool:
    return any(character in characters for character in text)


@frozen
class PasswordHash:
    text: str = field(repr=False)


@frozen(kw_only=True)
class Confirmation:
    """
    A confirmation of an address: the person who follows the link in the letter reads the mail of this address.

    A confirmation made at sign-up holds the password that was given with it. The password waits here and not on the
    account, so that a stranger who signs up with somebody else's address cannot have their password activated by the
    owner's click. A confirmation made to reset a password holds none.
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
    A person's means to sign in.

    An account has no password before it is confirmed, nor after it was confirmed by a letter for a forgotten password
    until one is chosen. Without a password nobody can sign in to it by one.
    """

    id: AccountId = field(on_setattr=never)
    email: Email
    password_hash: PasswordHash | None = None
    created_at: datetime = field(on_setattr=never)
    confirmed_at: datetime | None = None
    closed_at: datetime | None = None
    """When its owner closed it. A worker then removes the rest of its data."""
    disabled_at: datetime | None = None
    """When an operator disabled the account; None while its owner may sign in."""

    @classmethod
    def register(
        cls, *, id: AccountId, profile_id: ProfileId, email: Email, at: datetime
    ) -> "tuple[Account, Profile]":
        """A new account, unconfirmed, and the empty profile by which others will know it."""
        return cls(id=id, email=email, created_at=at), Profile(id=profile_id, account_id=id)

    @property
    def is_confirmed(self) -> bool:
        return self.confirmed_at is not None

    def refuse_entry(self) -> None:
        """
        Refuses every way to sign in unless the account is confirmed, not closed and not disabled.

        Raises:
            AccountShut: Nobody may sign in to the account.
        """
        if self.confirmed_at is None or self.closed_at is not None or self.disabled_at is not None:
            raise AccountShut

    def disable(self, *, at: datetime) -> None:
        """Keeps the owner out. Does nothing if the account is disabled already."""
        if self.disabled_at is None:
            self.disabled_at = at

    def enable(self) -> None:
        """Lets the owner sign in again."""
        self.disabled_at = None

    def confirm(self, confirmation: Confirmation, *, at: datetime) -> None:
        """
        Takes over the address and the password of ``confirmation``. The caller voids the account's other confirmations.

        Raises:
            AlreadyConfirmed: The account was confirmed before.
        """
        if self.is_confirmed:
            raise AlreadyConfirmed(self.id)
        self.confirmed_at = at
        self.email = confirmation.email
        self.password_hash = confirmation.password_hash

    def vouch(self, password_hash: PasswordHash | None, *, at: datetime) -> None:
        """
        Confirms without a letter: the operator who makes the account vouches for its address, or a provider that the
        operator believes. The latter gives no password.

        Raises:
            AlreadyConfirmed: The account was confirmed before.
        """
        if self.is_confirmed:
            raise AlreadyConfirmed(self.id)
        self.confirmed_at = at
        self.password_hash = password_hash

    def redeem(self, confirmation: Confirmation, *, at: datetime) -> None:
        """Takes ``confirmation`` as proof of the address. This confirms the account, unless it is confirmed already."""
        if not self.is_confirmed:
            self.confirm(confirmation, at=at)

    def change_password(self, password_hash: PasswordHash) -> None:
        self.password_hash = password_hash

    def close(self, *, at: datetime) -> None:
        """
        Closes the account for good; nobody can sign in from now on.

        Raises:
            AccountClosed: The account was closed before.
        """
        if self.closed_at is not None:
            raise AccountClosed
        self.closed_at = at
        self.password_hash = None

    def rehash(self, password_hash: PasswordHash) -> None:
        """Keeps the same password under a hash of today's kind."""
        self.password_hash = password_hash
