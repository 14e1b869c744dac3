"""Bodies, queries and paths of requests, up to the point where `interfaces.wire` takes over."""

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request

from interfaces.wire.validation import Unreadable, as_object, read_json, trimmed


async def json_object(request: Request) -> dict[str, object]:
    """
    The members of a JSON body, texts trimmed.

    Raises:
        RequestInvalid: No body, no JSON, or no object.
        Unreadable: Not even text.
    """
    body = await request.body()
    if not body:
        return as_object(None)
    return trimmed(as_object(read_json(body) if _says_json(request) else body))


def _says_json(request: Request) -> bool:
    """Who says nothing about a body means JSON, as in the original messenger."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_application = media_type.startswith("application/")
    return (
        not media_type
        or media_type == "application/json"
        or (is_application and media_type.endswith("+json"))
    )


async def form(request: Request) -> Mapping[str, object]:
    """
    The fields of a form, the last one of each name. Empty ones count as not sent. No form at all is an empty one.

    Raises:
        Unreadable: A form, but a broken one.
    """
    try:
        async with request.form() as fields:
            return {name: value for name, value in fields.items() if value != ""}
    except HTTPException as error:
        raise Unreadable from error


def query(request: Request) -> Mapping[str, object]:
    """The last value of each name."""
    return dict(request.query_params)


def path(request: Request) -> Mapping[str, str]:
    return request.path_params
