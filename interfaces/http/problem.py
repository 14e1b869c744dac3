"""
Errors as RFC 9457 has them, for clients that say `Accept: application/problem+json`. All others get the envelope.

`type` is a page of this server that explains the code, see `interfaces.http.explanations`.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from interfaces.http.envelope import Refusal, refused
from interfaces.wire.codec import Json, dumps

MEDIA_TYPE: Final = "application/problem+json"

ERRORS_PATH: Final = "errors_path"
"""Under this name in the application's state: where the pages of the codes are."""


def request_id(scope: Scope) -> str:
    """As `interfaces.http.middleware.Traced` keeps it. Empty where a scope never came through it."""
    return str(scope.get("state", {}).get("request_id", ""))


def refused_as_wished(scope: Scope, refusal: Refusal) -> Response:
    return problem(scope, refusal) if is_wished(Headers(scope=scope)) else refused(refusal)


def is_wished(headers: Headers) -> bool:
    """Only by its name: whoever takes anything at all gets what has always been given."""
    for line in headers.getlist("accept"):
        for each in line.split(","):
            kind, *parameters = (part.strip().lower() for part in each.split(";"))
            if kind == MEDIA_TYPE:
                return not any(_is_nothing(parameter) for parameter in parameters)
    return False


def _is_nothing(parameter: str) -> bool:
    name, _, weight = parameter.partition("=")
    return name.strip() == "q" and weight.strip().rstrip("0") in {"", "0", "0.", "."}


def problem(scope: Scope, refusal: Refusal) -> Response:
    extra = dict(refusal.extra)
    pages = getattr(getattr(scope.get("app"), "state", None), ERRORS_PATH, "/errors/")
    body: Json = {
        "type": f"{pages}{refusal.code}",
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
    """A JSON pointer (RFC 6901) from the request's parts: ``/body/members/3``."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in field)
