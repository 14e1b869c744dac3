"""
The error table of HTTP: the status, code and text of each error.

Each kind of error has a status. Errors for which the original messenger had its own words have entries of their own, and
a route may override an entry: the same missing chat is 403 on its details and 404 on its history.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from math import ceil
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from application.errors import (
    ApplicationError,
    NotAuthenticated,
    OutcomeUnknown,
    Overloaded,
    ProviderUnavailable,
    SecondFactorNeeded,
    Unavailable,
)
from application.keys import KeyReused
from application.messages.send import NonceReused
from application.ports.keys import LETTERS
from application.ports.limiter import TooManyRequests
from domain.account import AlreadyConfirmed, EmailIncorrect, EmailTaken, PasswordUnfit, PasswordWrong
from domain.chat_errors import (
    BadChatName,
    ChatNotFound,
    MembersNotFound,
    NotAcquainted,
    NotAllowed,
    NotAMember,
    TooFrequent,
    TooManyChats,
    TooManyMembers,
)
from domain.errors import Conflict, DomainError, Forbidden, Invalid, Limited, NotFound
from domain.profile import ProfileNotFound, ProfileUnfit, UsernameTaken
from domain.session import SessionNotFound
from interfaces.browsers import ForeignPage
from interfaces.http.envelope import Refusal, bare
from interfaces.http.limits import nothing_left
from interfaces.http.middleware import BodyTooLarge
from interfaces.http.problem import prefers_page, prefers_problem, refusal_response
from interfaces.wire.faults import UNFIT
from interfaces.wire.validation import FieldFault, RequestInvalid, Unreadable, echo, in_camel_case
from interfaces.ws.crowds import TooManySockets

Refusals = Mapping[type[Exception], Refusal]

STATUS_OF: Final[Mapping[type[DomainError], int]] = {
    Invalid: 422,
    NotFound: 404,
    Forbidden: 403,
    Conflict: 409,
    Limited: 429,
}

SINGLE_ERRORS: Final[Refusals] = {
    EmailTaken: Refusal(409, "ACCOUNT_ALREADY_EXISTS", "Account already exists"),
    UsernameTaken: Refusal(409, "USERNAME_TAKEN", "Username already taken"),
    SessionNotFound: Refusal(404, "NOT_FOUND", "Session not found"),
    PasswordWrong: Refusal(403, "PASSWORD_WRONG", "Password wrong"),
    ProfileNotFound: Refusal(404, "NOT_FOUND", "Profile not found"),
    ForeignPage: Refusal(403, "FOREIGN_PAGE", "Requests from this web page are not allowed"),
    BodyTooLarge: Refusal(413, "BODY_TOO_LARGE", "Request body too large"),
    OutcomeUnknown: Refusal(503, "OUTCOME_UNKNOWN", "Outcome unknown; retry with the same key"),
}

CHAT_DETAILS: Final[Refusals] = dict.fromkeys(
    (NotAMember, ChatNotFound), Refusal(403, "AUTH_ERROR", "Only chat members can see chat info")
)
NO_CHAT: Final[Refusals] = dict.fromkeys(
    (NotAMember, ChatNotFound), Refusal(404, "NOT_FOUND", "Chat not found")
)
OWNERS_ONLY: Final[Refusals] = dict.fromkeys(
    (NotAllowed, NotAMember, ChatNotFound), Refusal(403, "PROHIBITED_TO_DELETE", "Prohibited to delete chat")
)
"""The refusals to change or to delete a chat: the original used the same words for both."""

AUTHENTICATION: Final[Mapping[str, str]] = {
    "not_authenticated": "Not authenticated",
    "token_invalid": "Token Invalid",
    "token_expired": "Token expired",
    "token_type": "Invalid token type",
    "token_malformed": "Invalid JWT token",
    "credentials_invalid": "Credentials invalid",
}
"""Texts by `NotAuthenticated.reason`. Front ends compare them."""


def _not_authenticated(error: NotAuthenticated) -> Refusal:
    text = AUTHENTICATION.get(error.reason, AUTHENTICATION["token_invalid"])
    return Refusal(401, "AUTH_ERROR", text, {"WWW-Authenticate": "Bearer"})


def _second_factor_needed(error: SecondFactorNeeded) -> Refusal:
    return Refusal(
        403,
        "SECOND_FACTOR_NEEDED",
        "A code of the second factor is needed",
        extra={"pendingToken": error.pending_token, "expiresIn": error.expires_in},
    )


def _members_not_found(error: MembersNotFound) -> Refusal:
    listed = ", ".join(f"UUID('{profile_id}')" for profile_id in error.missing)
    return Refusal(400, "MEMBER_NOT_FOUND", f"{len(error.missing)} members not found: [{listed}]")


def _already_confirmed(error: AlreadyConfirmed) -> Refusal:
    return Refusal(409, "AUTH_ERROR", f"Account.ID: {error.account_id}. Already confirmed email")


def _later(code: str, text: str) -> Callable[[Unavailable | ProviderUnavailable | Overloaded], Refusal]:
    return lambda error: Refusal(503, code, text, {"Retry-After": str(max(1, ceil(error.retry_after)))})


def _nonce_reused(error: NonceReused) -> Refusal:
    first = error.first.message
    return Refusal(
        409,
        "NONCE_REUSED",
        "Another message was sent under this key",
        extra={"id": first.id, "seq": first.seq},
    )


def _key_reused(error: KeyReused) -> Refusal:
    first = error.first
    # The id of a confirmation is half of its token, so it must not be shown.
    subject = None if first.operation in LETTERS else first.subject_id
    return Refusal(
        409,
        "KEY_REUSED",
        "This key was used for another request",
        extra={"operation": first.operation.value, "subject": subject},
    )


def _too_frequent(error: TooFrequent) -> Refusal:
    return Refusal(
        429,
        "TOO_FREQUENT",
        f"Message blocked: Too frequent. Wait {error.wait:.1f}s",
        nothing_left("same-text", wait=error.wait),
    )


def _too_many(error: TooManyRequests) -> Refusal:
    headers = nothing_left(error.allowance.name, wait=error.wait, allowance=error.allowance)
    return Refusal(429, "TOO_MANY_REQUESTS", f"Too many requests. Wait {max(1, ceil(error.wait))}s", headers)


def _too_many_sockets(error: TooManySockets) -> Refusal:
    headers = nothing_left("sockets", wait=error.wait)
    return Refusal(429, "TOO_MANY_SOCKETS", f"At most {error.most} sockets of one {error.whose}", headers)


def _too_many_members(error: TooManyMembers) -> Refusal:
    return Refusal(409, "TOO_MANY_MEMBERS", f"A group has at most {error.most} members")


def _too_many_chats(error: TooManyChats) -> Refusal:
    return Refusal(
        409,
        "TOO_MANY_CHATS",
        f"Nobody is in more than {error.most} chats",
        extra={"profiles": [*error.profile_ids]},
    )


def _not_acquainted(error: NotAcquainted) -> Refusal:
    return Refusal(
        403,
        "NOT_ACQUAINTED",
        "Some of these people may not be added",
        extra={"profiles": [*error.profile_ids]},
    )


BY_CONTENT: Final[Mapping[type[Exception], Callable[[Any], Refusal]]] = {
    NotAuthenticated: _not_authenticated,
    SecondFactorNeeded: _second_factor_needed,
    MembersNotFound: _members_not_found,
    NonceReused: _nonce_reused,
    KeyReused: _key_reused,
    TooFrequent: _too_frequent,
    TooManyRequests: _too_many,
    TooManySockets: _too_many_sockets,
    TooManyMembers: _too_many_members,
    TooManyChats: _too_many_chats,
    NotAcquainted: _not_acquainted,
    AlreadyConfirmed: _already_confirmed,
    Unavailable: _later("DATA_ERROR", "DataBase error"),
    ProviderUnavailable: _later("PROVIDER_UNAVAILABLE", "The provider does not answer; nothing was done"),
    Overloaded: _later("OVERLOADED", "Server overloaded; nothing was stored"),
}
"""Errors whose text or headers depend on their attributes."""


def refusal_of(error: Exception, of_route: Refusals) -> Refusal:
    for kind in type(error).__mro__:
        if kind in of_route:
            return of_route[kind]
        if kind in SINGLE_ERRORS:
            return SINGLE_ERRORS[kind]
        if kind in BY_CONTENT:
            return BY_CONTENT[kind](error)
        if kind in STATUS_OF and isinstance(error, DomainError):
            return Refusal(STATUS_OF[kind], error.code.upper(), error.code.replace("_", " ").capitalize())
    raise error


def validation_status(*, original_statuses: bool) -> int:
    return 501 if original_statuses else 422


def validation_refusal(error: RequestInvalid, status: int) -> Refusal:
    fields = [
        {
            "field": fault.field,
            "code": fault.fault.code,
            "text": fault.fault.text,
            "input": echo(fault.input),
        }
        for fault in error.faults
    ]
    message = f"{len(fields)} errors in schema"  # always plural, as in the original: clients may match it
    return Refusal(status, "UNEXPECTED_VALIDATION_ERROR", message, extra={"fields": fields})


UNREADABLE: Final = Refusal(400, "UNREADABLE_BODY", "There was an error parsing the body")
UNREADABLE_BODY: Final = {"detail": UNREADABLE.message}
"""Without the envelope, as the original messenger's framework answered."""


FIELD_OF: Final[Mapping[type, str]] = {
    PasswordUnfit: "password",
    EmailIncorrect: "email",
    BadChatName: "name",
}
"""The field of the body to which each of these errors belongs."""

UNKNOWN_PATH: Final = Refusal(404, "NOT_FOUND", "Not Found")


def _framework_refusal(error: HTTPException) -> Refusal:
    phrase = HTTPStatus(error.status_code).phrase
    code = phrase.upper().replace(" ", "_")
    return Refusal(error.status_code, code, phrase, error.headers or {})


def _profile_faults(error: ProfileUnfit) -> RequestInvalid:
    return RequestInvalid(
        tuple(
            FieldFault(
                ("body", in_camel_case(name)),
                next(UNFIT[kind] for kind in type(unfit.reason).__mro__ if kind in UNFIT),
                unfit.text,
            )
            for name, unfit in error.fields.items()
        )
    )


def exception_handlers(*, original_statuses: bool) -> dict[type[Exception], ExceptionHandler]:
    invalid = validation_status(original_statuses=original_statuses)

    async def refuse(request: Request, error: Exception) -> Response:
        match error:
            case RequestInvalid():
                return refusal_response(request.scope, validation_refusal(error, invalid))
            case ProfileUnfit():
                return refusal_response(request.scope, validation_refusal(_profile_faults(error), invalid))
            case PasswordUnfit() | EmailIncorrect() | BadChatName():
                # Rules beyond those of the codec; clients see them as validation errors like those.
                name = next(FIELD_OF[kind] for kind in type(error).__mro__ if kind in FIELD_OF)
                given = error.args[0] if error.args else None  # never of a password
                unfit = RequestInvalid((FieldFault(("body", name), UNFIT[type(error)], given),))
                return refusal_response(request.scope, validation_refusal(unfit, invalid))
            case Unreadable():
                if prefers_page(request.headers) or prefers_problem(request.headers):
                    return refusal_response(request.scope, UNREADABLE)
                return bare(UNREADABLE_BODY, 400)
            case HTTPException():
                is_bare = original_statuses and error.status_code in {404, 405}
                if is_bare and not prefers_page(request.headers):
                    return bare({"detail": error.detail}, error.status_code, error.headers)
                return refusal_response(request.scope, _framework_refusal(error))
        of_route = getattr(request.scope.get("route"), "refusals", {})
        return refusal_response(request.scope, refusal_of(error, of_route))

    return dict.fromkeys(
        (DomainError, ApplicationError, BodyTooLarge, ForeignPage, RequestInvalid, Unreadable, HTTPException),
        refuse,
    )
