"""
Problem details (RFC 9457) for clients that send `Accept: application/problem+json`. All others get the envelope.

The member `type` is the address of a page of this server that explains the error code, see `interfaces.http.explanations`.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from interfaces.http.accept import is_named, quality
from interfaces.http.envelope import MEDIA_TYPE as JSON
from interfaces.http.envelope import Refusal, refused
from interfaces.wire.codec import Json, dumps

MEDIA_TYPE: Final = "application/problem+json"

ERRORS_PATH: Final = "errors_path"
"""The attribute of the application's state that holds the path of the pages of error codes."""


def request_id(scope: Scope) -> str:
    """Return the id that `interfaces.http.middleware.Traced` gave the request; empty if the request did not pass it."""
    return str(scope.get("state", {}).get("request_id", ""))


def refusal_response(scope: Scope, refusal: Refusal) -> Response:
    return problem(scope, refusal) if prefers_problem(Headers(scope=scope)) else refused(refusal)


def prefers_problem(headers: Headers) -> bool:
    """
    Tell whether a client wants problem details: it names their media type and does not prefer JSON.

    A range that merely covers the type (``*/*``) is not enough, for such clients have always got the envelope.
    """
    return is_named(headers, MEDIA_TYPE) and quality(headers, MEDIA_TYPE) >= quality(headers, JSON)


def problem(scope: Scope, refusal: Refusal) -> Response:
    extra = dict(refusal.extra)
    pages = getattr(getattr(scope.get("app"), "state", None), ERRORS_PATH, "/errors/")
    body: Json = {
        "type": f"{scope.get('root_path', '')}{pages}{refusal.code}",
        "title": HTTPStatus(refusal.status).phrase,
        "status": refusal.status,
        "detail": refusal.message,
        "code": refusal.code,
        "requestId": extra.pop("requestId", None) or request_id(scope),
    }
    if fields := extra.pop("fields", None):
        body["errors"] = list(_errors(fields))
    headers = {**refusal.headers, "Vary": "Accept"}
    return Response(dumps(body | extra), refusal.status, headers, MEDIA_TYPE)


def _errors(fields: Any) -> Iterable[Mapping[str, object]]:
    for field in fields:
        yield {
            "pointer": pointer(field["field"]),
            "code": field["code"],
            "detail": field["text"],
        }


def pointer(field: Iterable[str | int]) -> str:
    """Return the location of a fault as a JSON pointer (RFC 6901), such as ``/body/members/3``."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in field)
