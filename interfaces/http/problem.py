"""
Errors in the form that the client asks for: a page for browsers, problem details (RFC 9457) for clients that send
`Accept: application/problem+json`, and the envelope for all others.

The member `type` of a problem is the address of a page of this server that explains the error code, see
`interfaces.http.error_pages`.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeVar

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from interfaces.http.accept import is_named, quality
from interfaces.http.envelope import MEDIA_TYPE as JSON
from interfaces.http.envelope import Refusal, refused
from interfaces.http.explanations import EXPLANATIONS, Explanation
from interfaces.http.look import NOWHERE
from interfaces.http.pages import page, with_code
from interfaces.wire.codec import Json, dumps

MEDIA_TYPE: Final = "application/problem+json"

ERRORS_PATH: Final = "errors_path"
"""The attribute of the application's state that holds the path of the pages of error codes."""

APP_URL: Final = "app_url"
"""The attribute of the application's state that holds the address of the application that people use, or nothing."""

PLACES: Final = "places"
"""The attribute of the application's state that holds the pages to which error pages lead."""

HTML: Final = "text/html"

T = TypeVar("T")

TITLES: Final[Mapping[int, tuple[str, str]]] = {
    401: ("Нужно войти", "Please sign in"),
    403: ("Сюда нельзя", "This is not for you"),
    404: ("Здесь ничего нет", "Nothing is here"),
    405: ("Так сюда нельзя", "This does not work that way"),
    413: ("Слишком много сразу", "That is too much at once"),
    429: ("Слишком часто", "Too often"),
    500: ("Ошибка сервера", "The server failed"),
    503: ("Сервер сейчас не отвечает", "The server does not answer just now"),
}
"""Titles of error pages by status, in Russian and English."""

OTHER_TITLE: Final = ("Не получилось", "That did not work")


def request_id(scope: Scope) -> str:
    """Return the id that `interfaces.http.middleware.Traced` gave the request; empty if the request did not pass it."""
    return str(scope.get("state", {}).get("request_id", ""))


def refusal_response(scope: Scope, refusal: Refusal) -> Response:
    headers = Headers(scope=scope)
    if prefers_page(headers):
        return error_page(scope, refusal)
    return problem(scope, refusal) if prefers_problem(headers) else refused(refusal)


def prefers_page(headers: Headers) -> bool:
    """
    Tell whether a browser asks for a page: it names HTML, and prefers it to both kinds of JSON.

    Scripts of a page ask for ``*/*`` or JSON, and get what clients get.
    """
    html = quality(headers, HTML)
    return is_named(headers, HTML) and html > max(quality(headers, JSON), quality(headers, MEDIA_TYPE))


def error_page(scope: Scope, refusal: Refusal) -> Response:
    texts = EXPLANATIONS.get(refusal.code, Explanation(english=refusal.message, russian=refusal.message))
    fields: Any = refusal.extra.get("fields", ())
    return page(
        Headers(scope=scope),
        "error.html",
        refusal.status,
        refusal.headers,
        title=TITLES.get(refusal.status, OTHER_TITLE),
        russian=with_code(texts.russian),
        english=with_code(texts.english),
        fields=[{"at": pointer(field["field"]), "text": field["text"]} for field in fields],
        shown_status=refusal.status,
        code=refusal.code,
        message=refusal.message,
        request_id=request_id(scope),
        explanation=_explanation(scope, refusal.code) if refusal.code in EXPLANATIONS else "",
        app_url=_of_state(scope, APP_URL, ""),
        places=_of_state(scope, PLACES, NOWHERE),
    )


def _of_state(scope: Scope, name: str, default: T) -> T:
    found: T = getattr(getattr(scope.get("app"), "state", None), name, default)
    return found


def _explanation(scope: Scope, code: str) -> str:
    """Return the address of the page that explains a code."""
    return f"{scope.get('root_path', '')}{_of_state(scope, ERRORS_PATH, '/errors/')}{code}"


def prefers_problem(headers: Headers) -> bool:
    """
    Tell whether a client wants problem details: it names their media type and does not prefer JSON.

    A range that merely covers the type (``*/*``) is not enough, for such clients have always got the envelope.
    """
    return is_named(headers, MEDIA_TYPE) and quality(headers, MEDIA_TYPE) >= quality(headers, JSON)


def problem(scope: Scope, refusal: Refusal) -> Response:
    extra = dict(refusal.extra)
    body: Json = {
        "type": _explanation(scope, refusal.code),
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
