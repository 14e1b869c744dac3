"""What every answer comes in, good or bad."""

from collections.abc import Mapping

from attrs import frozen
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


def bare(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(dumps(body), status, dict(headers or {}), MEDIA_TYPE)


def success(data: object, headers: Mapping[str, str] | None = None) -> Response:
    return bare({"status": "success", "data": data}, headers=headers)


def refused(refusal: Refusal) -> Response:
    error: Json = {"code": refusal.code, "message": refusal.message, **refusal.extra}
    return bare({"status": "error", "error": error}, refusal.status, refusal.headers)
