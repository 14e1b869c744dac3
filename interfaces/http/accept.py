"""Which media type a client prefers, by its ``Accept`` header (RFC 9110, 12.5.1)."""

from collections.abc import Iterable, Mapping, Sequence

from starlette.datastructures import Headers


def quality(headers: Headers, media_type: str) -> float:
    """
    How much a client wants the media type, from 0 (not at all) to 1. The most specific range that covers it decides.

    Without ``Accept`` every type is wanted alike.
    """
    ranges = _ranges(headers)
    if not ranges:
        return 1.0
    kind = media_type.partition("/")[0]
    return next((ranges[each] for each in (media_type, f"{kind}/*", "*/*") if each in ranges), 0.0)


def preferred(headers: Headers, offers: Sequence[str]) -> str:
    """The offer that is wanted most; the first of those wanted alike, and the first where none is wanted."""
    return max(offers, key=lambda offer: quality(headers, offer))


def is_named(headers: Headers, media_type: str) -> bool:
    """Whether ``Accept`` names the type itself, not only a range that covers it, and with a weight above 0."""
    return _ranges(headers).get(media_type, 0.0) > 0


def _ranges(headers: Headers) -> Mapping[str, float]:
    """The weight of each range. Parameters other than the weight are not looked at."""
    found: dict[str, float] = {}
    for line in headers.getlist("accept"):
        for each in line.split(","):
            media_range, *parameters = (part.strip().lower() for part in each.split(";"))
            if media_range:
                found[media_range] = _weight(parameters)
    return found


def _weight(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        name, _, text = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = float(text)
            except ValueError:
                return 0.0
            return weight if 0 <= weight <= 1 else 0.0
    return 1.0
