"""Profiles: the names under which other people see a person."""

import unicodedata
from collections.abc import Mapping
from typing import Final, TypeVar

from attrs import define, field, frozen
from attrs.setters import frozen as never

from domain.errors import Conflict, Invalid, NotFound
from domain.identifiers import folded, is_identifier, normal_width, skeleton
from domain.ids import AccountId, ProfileId
from domain.text import is_nameable, refuse_unstorable, trimmed
from domain.unchanged import UNCHANGED, Unchanged

NAME_LIMIT: Final = 100
USERNAME_LIMITS: Final = (3, 50)
NORMALIZED_LIMIT: Final = 8 * USERNAME_LIMITS[1]
"""Characters beyond which a username stays too long when it is normalized: that makes at most one of eight."""

PHONE_LIMITS: Final = (8, 15)
DIGITS: Final = frozenset("0123456789")


class NameUnfit(Invalid):
    code = "name_unfit"


class UsernameUnfit(Invalid):
    code = "username_unfit"


class PhoneUnfit(Invalid):
    code = "phone_unfit"


@frozen
class Unfit:
    """
    A text that today's rules refuse, for a field that may have it from before. A field that stays as it is is not judged
    again, or its owner could change nothing else in the same request.
    """

    text: str
    reason: Invalid


class ProfileUnfit(Invalid):
    """Some fields would change to what the rules refuse; ``fields`` has all of them, by attribute."""

    code = "profile_unfit"

    def __init__(self, fields: Mapping[str, Unfit]) -> None:
        super().__init__(fields)
        self.fields = fields


class UsernameTaken(Conflict):
    """Another profile has this username, or one that looks like it (`Username.claims`)."""

    code = "username_taken"


class ProfileNotFound(NotFound):
    code = "profile_not_found"


@frozen
class Name:
    """A first, last or middle name: 1 to 100 characters, trimmed, with something visible in it."""

    text: str = field(converter=trimmed)

    @text.validator
    def _fits(self, _: object, text: str) -> None:
        refuse_unstorable(text)
        if not (1 <= len(text) <= NAME_LIMIT and is_nameable(text)):
            raise NameUnfit


def _username(text: str) -> str:
    text = text.strip()
    if len(text) > NORMALIZED_LIMIT:
        return text  # too long in any form, and not worth the work
    return unicodedata.normalize("NFC", normal_width(text))


@frozen
class Username:
    """
    A username of 3 to 50 characters, by the profile UsernameCasePreserved of RFC 8265: letters and digits of one script,
    and the printable characters of ASCII. Full-width letters become ordinary ones.

    Two usernames that share one of their `claims` cannot both be taken.
    """

    text: str = field(converter=_username)

    @text.validator
    def _fits(self, _: object, text: str) -> None:
        refuse_unstorable(text)
        least, most = USERNAME_LIMITS
        if not (least <= len(text) <= most and is_identifier(text)):
            raise UsernameUnfit

    @property
    def folded(self) -> str:
        """The form in which usernames are compared and searched."""
        return folded(self.text)

    @property
    def claims(self) -> frozenset[str]:
        """
        The forms that this username reserves: its folded form, and its skeletons with and without capitals, because
        ``PAYPAL`` and ``paypa1`` can both be mistaken for ``paypal``.
        """
        return frozenset({self.folded, folded(skeleton(self.folded)), folded(skeleton(self.text))})


@frozen
class Phone:
    """E.164: a plus and 8 to 15 digits, the first of which is no zero."""

    text: str = field(converter=trimmed)

    @text.validator
    def _fits(self, _: object, text: str) -> None:
        plus, digits = text[:1], text[1:]
        least, most = PHONE_LIMITS
        in_range = least <= len(digits) <= most and digits[0] != "0"
        if not (plus == "+" and in_range and DIGITS.issuperset(digits)):
            raise PhoneUnfit


@define(eq=False, kw_only=True)
class Profile:
    id: ProfileId = field(on_setattr=never)
    account_id: AccountId = field(on_setattr=never)
    first_name: Name | None = None
    last_name: Name | None = None
    middle_name: Name | None = None
    username: Username | None = None
    phone: Phone | None = None
    """Shown only to its owner."""

    def edit(
        self,
        *,
        first_name: Name | Unfit | Unchanged | None = UNCHANGED,
        last_name: Name | Unfit | Unchanged | None = UNCHANGED,
        middle_name: Name | Unfit | Unchanged | None = UNCHANGED,
        username: Username | Unfit | Unchanged | None = UNCHANGED,
        phone: Phone | Unfit | Unchanged | None = UNCHANGED,
    ) -> None:
        """
        Does not check that the username is free; saving the profile does.

        Raises:
            ProfileUnfit: Some of the fields are `Unfit` and differ from what the profile has. Nothing was changed.
        """
        unfit: dict[str, Unfit] = {}
        edited = {
            "first_name": _changed("first_name", self.first_name, first_name, unfit),
            "last_name": _changed("last_name", self.last_name, last_name, unfit),
            "middle_name": _changed("middle_name", self.middle_name, middle_name, unfit),
            "username": _changed("username", self.username, username, unfit),
            "phone": _changed("phone", self.phone, phone, unfit),
        }
        if unfit:
            raise ProfileUnfit(unfit)
        for name, value in edited.items():
            setattr(self, name, value)


V = TypeVar("V", Name, Username, Phone)


def _changed(
    name: str, old: V | None, new: V | Unfit | Unchanged | None, unfit: dict[str, Unfit]
) -> V | None:
    if isinstance(new, Unfit):
        if old is None or new.text != old.text:
            unfit[name] = new
        return old
    return old if isinstance(new, Unchanged) else new
