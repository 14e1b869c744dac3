"""The JSON envelope of answers, successes and errors alike."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final
from urllib.parse import quote, urlencode

from attrs import evolve, frozen
from starlette.requests import Request
from starlette.responses import Response

from interfaces.wire.codec import Json, dumps

MEDIA_TYPE = "application/json"


@frozen
class Refusal:
    """An error answer. ``extra`` holds the members of the error object besides ``code`` and ``message``."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = {}
    extra: Mapping[str, object] = {}

    def with_extra(self, **extra: object) -> "Refusal":
        return evolve(self, extra={**self.extra, **extra})


def bare(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(dumps(body), status, dict(headers or {}), MEDIA_TYPE)


def success(data: object, headers: Mapping[str, str] | None = None) -> Response:
    return bare({"status": "success", "data": data}, headers=headers)


def polled(request: Request, data: object, headers: Mapping[str, str] | None = None) -> Response:
    """Like `success`, with an ``ETag``, for data that clients poll: a client that has this version gets 304 without a body."""
    answer = success(data, headers)
    tag = etag(bytes(answer.body))
    if has(request, tag):
        return unchanged(tag, headers)
    answer.headers.update(tagged(tag))
    return answer


NOT_KEPT: Final = {"Cache-Control": "no-store"}
"""The header of answers with personal data, which no cache may keep."""


def tagged(tag: str) -> Mapping[str, str]:
    """Return the headers of an answer with a version. No cache may keep it, only the client itself, by its tag."""
    return {"ETag": tag, **NOT_KEPT}


def unchanged(tag: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer a client that has this version."""
    return Response(status_code=304, headers={**(headers or {}), **tagged(tag)})


def etag(content: bytes) -> str:
    return f'"{blake2b(content, digest_size=16).hexdigest()}"'


def has(request: Request, tag: str) -> bool:
    """Tell whether ``If-None-Match`` names this version."""
    return not {tag, "*"}.isdisjoint(tags_in(request))


def tags_in(request: Request) -> set[str]:
    """Return the tags in ``If-None-Match``."""
    given = request.headers.getlist("if-none-match")
    # Weak comparison (RFC 9110, 13.1.2): a proxy that compresses may have turned our tag into a weak one.
    return {each.strip().removeprefix("W/") for line in given for each in line.split(",")}


def next_link(request: Request, query: Mapping[str, str | int]) -> Mapping[str, str]:
    """Return the ``Link`` to the next page (RFC 8288). It contains no host, so it is valid behind any proxy."""
    return {"Link": f'<{quoted(request.scope["path"])}?{urlencode(query)}>; rel="next"'}


def quoted(path: str) -> str:
    """Return a path as it is written in a URL (RFC 3986, 3.3)."""
    return quote(path, safe="/:@!$&'()*+,;=~")


def refused(refusal: Refusal) -> Response:
    error: Json = {"code": refusal.code, "message": refusal.message, **refusal.extra}
    return bare({"status": "error", "error": error}, refusal.status, refusal.headers)
