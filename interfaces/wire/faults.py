"""
The codes and texts of what can be wrong with a value that a client sent.

The original messenger took both from its framework, and front ends show or match them. They are therefore part of the
contract, including the one Russian text.
"""

from collections.abc import Mapping
from typing import Final

from attrs import frozen

from domain.account import EmailIncorrect, PasswordCommon, PasswordUnfit
from domain.chat_errors import BadChatName
from domain.errors import Invalid
from domain.profile import NameUnfit, PhoneUnfit, UsernameUnfit
from domain.session import FINGERPRINT_LIMIT, FingerprintTooLong
from domain.text import UnstorableText


@frozen
class Fault:
    code: str
    text: str


MISSING: Final = Fault("missing", "Field required")
NOT_AN_OBJECT: Final = Fault(
    "model_attributes_type", "Input should be a valid dictionary or object to extract fields from"
)
NOT_JSON: Final = Fault("json_invalid", "JSON decode error")

NOT_A_STRING: Final = Fault("string_type", "Input should be a valid string")
NOT_A_BOOLEAN: Final = Fault("bool_type", "Input should be a valid boolean")
NOT_A_LIST: Final = Fault("list_type", "Input should be a valid list")
NOT_AN_INTEGER: Final = Fault(
    "int_parsing", "Input should be a valid integer, unable to parse string as an integer"
)
INTEGER_TOO_LONG: Final = Fault(
    "int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size"
)
NOT_AN_IDENTITY: Final = Fault("uuid_type", "UUID input should be a string, bytes or UUID object")

NOT_A_ROLE: Final = Fault("enum", "Input should be 'owner', 'admin' or 'member'")
NOT_A_SCOPE: Final = Fault("enum", "Input should be 'messages' or 'chats'")

EMAIL_INCORRECT: Final = Fault("value_error", "Value error, Email incorrect")
PASSWORD_COMMON: Final = Fault("value_error", "Value error, Password too common")
PASSWORD_INVALID: Final = Fault("value_error", "Value error, Password invalid")
MEMBERS_REPEATED: Final = Fault("value_error", "Value error, Список участников содержит дубликаты")
NO_AT_SIGN: Final = Fault(
    "value_error", "value is not a valid email address: An email address must have an @-sign."
)
NOT_AN_ADDRESS: Final = Fault(
    "value_error", "value is not a valid email address: It cannot be delivered to as it is written."
)
UNSTORABLE: Final = Fault("value_error", "Value error, NUL and lone surrogates cannot be kept")
SEVERAL_PLACES: Final = Fault("value_error", "Value error, Only one of before, after and around can be given")
CURSOR_OR_SKIP: Final = Fault("value_error", "Value error, Only one of cursor and skip can be given")
CURSOR_INVALID: Final = Fault(
    "cursor_invalid", "This cursor was not given out for this list: begin again without it"
)
SEEN_INVALID: Final = Fault(
    "value_error", "Value error, Expected up to 1000 pairs of a chat's id and a position, such as id:41,id:7"
)
CURSOR_OR_NEXT: Final = Fault("value_error", "Value error, Only one of next and since can be given")
SEVERAL_KEYS: Final = Fault("value_error", "Value error, Only one Idempotency-Key can be given")
KEY_UNREADABLE: Final = Fault(
    "value_error", "Value error, A key in quotes is a string or display string of RFC 9651"
)
NAME_UNFIT: Final = Fault("value_error", "Value error, Name incorrect")
USERNAME_UNFIT: Final = Fault("value_error", "Value error, Username incorrect")
PHONE_UNFIT: Final = Fault("value_error", "Value error, Phone incorrect")


def too_short(least: int) -> Fault:
    return Fault(
        "string_too_short", f"String should have at least {least} character{'s' if least > 1 else ''}"
    )


def too_long(most: int) -> Fault:
    return Fault("string_too_long", f"String should have at most {most} characters")


def less_than(least: int) -> Fault:
    return Fault("greater_than_equal", f"Input should be greater than or equal to {least}")


def not_an_identity(what: str) -> Fault:
    return Fault("uuid_parsing", f"Input should be a valid UUID, {what}")


UNFIT: Final[Mapping[type[Invalid], Fault]] = {
    EmailIncorrect: EMAIL_INCORRECT,
    PasswordCommon: PASSWORD_COMMON,
    PasswordUnfit: PASSWORD_INVALID,
    FingerprintTooLong: too_long(FINGERPRINT_LIMIT),
    NameUnfit: NAME_UNFIT,
    BadChatName: NAME_UNFIT,
    UsernameUnfit: USERNAME_UNFIT,
    PhoneUnfit: PHONE_UNFIT,
    UnstorableText: UNSTORABLE,
    Invalid: Fault("value_error", "Value error, Input incorrect"),
}
"""The fault that a client is shown for each error of the domain's value objects."""


CODES: Final = frozenset(
    fault.code
    for fault in (
        MISSING,
        NOT_AN_OBJECT,
        NOT_JSON,
        NOT_A_STRING,
        NOT_A_BOOLEAN,
        NOT_A_LIST,
        NOT_AN_INTEGER,
        INTEGER_TOO_LONG,
        NOT_AN_IDENTITY,
        NOT_A_ROLE,
        NOT_A_SCOPE,
        CURSOR_INVALID,
        too_short(1),
        too_long(1),
        less_than(1),
        not_an_identity(""),
        *UNFIT.values(),
    )
)
"""All codes. A client may translate each of them."""


@frozen
class ValueFault:
    """A fault and its place inside a value: ``at`` holds the indexes into nested lists."""

    fault: Fault
    input: object
    at: tuple[int, ...] = ()


class InvalidValue(Exception):
    """A value does not have the required type or form. ``findings`` lists everything that is wrong with it."""

    def __init__(self, *findings: ValueFault) -> None:
        super().__init__(*findings)
        self.findings = findings
