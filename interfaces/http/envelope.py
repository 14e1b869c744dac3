"""What every answer comes in, good or bad."""

from collections.abc import Mapping
from hashlib import blake2b
from urllib.parse import urlencode

from attrs import evolve, frozen
from starlette.requests import Request
from starlette.responses import Response

from interfaces.wire.codec import Json, dumps

MEDIA_TYPE = "application/json"


@frozen
class Refusal:
    """How a request is turned down. ``extra`` stands beside code and message."""

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
    """`success` for what is asked for again and again: whoever has just this is told so in 304, without it."""
    answer = success(data, headers)
    tag = etag(bytes(answer.body))
    answer.headers["ETag"] = tag
    answer.headers["Cache-Control"] = "no-store"  # somebody's data; clients keep it under its tag themselves
    if not has(request, tag):
        return answer
    return Response(
        status_code=304,
        headers={name: answer.headers[name] for name in KEPT_IN_304 if name in answer.headers},
    )


KEPT_IN_304 = ("ETag", "Cache-Control", "Link")


def etag(content: bytes) -> str:
    return f'"{blake2b(content, digest_size=16).hexdigest()}"'


def has(request: Request, tag: str) -> bool:
    """Whether whoever asks has this already."""
    given = request.headers.getlist("if-none-match")
    # compared weakly, RFC 9110 13.1.2: a proxy that compresses may have made ours a weak one
    tags = {each.strip().removeprefix("W/") for line in given for each in line.split(",")}
    return tag in tags or "*" in tags


def next_link(request: Request, query: Mapping[str, str | int]) -> Mapping[str, str]:
    """Where a list goes on, RFC 8288; relative, so that it holds behind any proxy."""
    return {"Link": f'<{request.url.path}?{urlencode(query)}>; rel="next"'}


def refused(refusal: Refusal) -> Response:
    error: Json = {"code": refusal.code, "message": refusal.message, **refusal.extra}
    return bare({"status": "error", "error": error}, refusal.status, refusal.headers)
