"""Which media type a client prefers, by its ``Accept`` header (RFC 9110, 12.5.1)."""

from collections.abc import Iterable, Mapping, Sequence

from starlette.datastructures import Headers


def quality(headers: Headers, media_type: str) -> float:
    """
    Return the weight that a client gives to the media type, from 0 (not acceptable) to 1. The most specific range that
    covers the type decides.

    Without ``Accept`` every type has the weight 1.
    """
    ranges = _ranges(headers)
    if not ranges:
        return 1.0
    kind = media_type.partition("/")[0]
    return next((ranges[each] for each in (media_type, f"{kind}/*", "*/*") if each in ranges), 0.0)


def preferred(headers: Headers, offers: Sequence[str]) -> str:
    """Return the offer with the highest weight: the first of equals, and the first offer if none is acceptable."""
    return max(offers, key=lambda offer: quality(headers, offer))


def is_named(headers: Headers, media_type: str) -> bool:
    """Tell whether ``Accept`` names the type itself, not only a range that covers it, with a weight above 0."""
    return _ranges(headers).get(media_type, 0.0) > 0


def _ranges(headers: Headers) -> Mapping[str, float]:
    """Map each media range to its weight. Parameters other than the weight are ignored."""
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
