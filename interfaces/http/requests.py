"""Reads bodies, queries, paths and keys of requests, for `interfaces.wire` to decode."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.exceptions import HTTPException
from starlette.requests import Request

from domain.session import Origin
from interfaces.wire.codec import KEY
from interfaces.wire.faults import KEY_UNREADABLE, SEVERAL_KEYS
from interfaces.wire.validation import (
    FieldFault,
    RequestInvalid,
    Unreadable,
    as_object,
    read_json,
    trimmed,
)

HEADER: Final = KEY.lower().encode()
PARAMETERS: Final = rb"(?: *;.*)?"
QUOTED: Final = re.compile(rb'"((?:[^"\\]|\\["\\])*)"' + PARAMETERS)
ESCAPED: Final = re.compile(rb'\\(["\\])')
DISPLAYED: Final = re.compile(rb'%"((?:[^"%]|%[0-9a-fA-F]{2})*)"' + PARAMETERS)


async def json_object(request: Request) -> dict[str, object]:
    """
    Return the members of a JSON body, with texts trimmed.

    Raises:
        RequestInvalid: The body is missing, is not JSON, or is not an object.
        Unreadable: The body is not text, or is JSON that parsers may read differently (RFC 7493).
    """
    body = await request.body()
    if not body:
        return as_object(None)
    return trimmed(as_object(read_json(body) if _says_json(request) else body))


async def json_object_if_any(request: Request) -> dict[str, object]:
    """Return the members of a JSON body like `json_object`, or none if the request has no body."""
    return await json_object(request) if await request.body() else {}


def _says_json(request: Request) -> bool:
    """Tell whether the body is JSON. Without a content type it is, as in the original messenger."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_application = media_type.startswith("application/")
    return (
        not media_type
        or media_type == "application/json"
        or (is_application and media_type.endswith("+json"))
    )


async def form(request: Request) -> Mapping[str, object]:
    """
    Return the fields of a form. The last of several fields with one name counts, and empty fields count as not sent. A
    request without a form has no fields.

    Raises:
        Unreadable: The form is malformed.
    """
    try:
        async with request.form() as fields:
            return {name: value for name, value in fields.items() if value != ""}
    except HTTPException as error:
        raise Unreadable from error


def query(request: Request) -> Mapping[str, object]:
    """Return the parameters of the query. The last of several with one name counts."""
    return dict(request.query_params)


def key(request: Request) -> dict[str, object]:
    """
    Return the ``Idempotency-Key``, or None if there is none, as a field to be decoded together with the body.

    Raises:
        RequestInvalid: There are several, or it begins with a quote and cannot be read as a quoted key.
    """
    sent = {value for name, value in request.scope["headers"] if name == HEADER}
    if not sent:
        return {KEY: None}
    if len(sent) > 1:
        raise RequestInvalid((FieldFault(("body", KEY), SEVERAL_KEYS),))
    return {KEY: written_key(sent.pop().strip(b" \t"))}


def written_key(value: bytes) -> str:
    """
    Decode a key from the value of its header. Every key that a socket can send as a ``nonce`` can be written in it.

    A bare value is the key itself, in UTF-8. ``"..."`` is a string as in the IETF draft on the header (RFC 9651, section
    3.3.3), and ``%"..."`` a display string (3.3.8), in which any character can be percent-encoded. Parameters behind a
    quoted key are ignored.

    Raises:
        RequestInvalid: It begins with a quote and cannot be read as either.
    """
    if not value.startswith((b'"', b'%"')):
        return _text(value)
    if quoted := QUOTED.fullmatch(value):
        return _text(ESCAPED.sub(rb"\1", quoted[1]))
    if displayed := DISPLAYED.fullmatch(value):
        try:
            return unquote_to_bytes(displayed[1]).decode()
        except UnicodeDecodeError:
            pass
    raise RequestInvalid((FieldFault(("body", KEY), KEY_UNREADABLE, value.decode("latin-1")),))


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def origin_of(request: Request) -> Origin:
    address = request.client.host if request.client else None
    return Origin(user_agent=request.headers.get("user-agent"), address=address)


def known(request: Request) -> dict[str, object]:
    """Return what the server itself knows about the sender of a request, as a field of a command."""
    return {"origin": origin_of(request)}


def path(request: Request) -> Mapping[str, str]:
    return request.path_params
