"""Which media type, language and encoding a client prefers, by its ``Accept`` headers (RFC 9110, 12.5)."""

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


def preferred_language(headers: Headers, offers: Sequence[str]) -> str:
    """
    Return the offered language with the highest weight: the first that the client lists of equals, and the first offer if
    it accepts none of them. Regions and scripts are ignored: ``ru-KZ`` is Russian.
    """
    weights: dict[str, float] = {}
    for each, weight in _ranges(headers, "accept-language").items():
        language = each.partition("-")[0]
        if language in offers:
            weights[language] = max(weight, weights.get(language, 0.0))
    best = max(weights, key=lambda language: weights[language], default=offers[0])
    return best if weights.get(best) else offers[0]


def preferred_encoding(headers: Headers, offers: Sequence[str]) -> str | None:
    """Return the offered encoding with the highest weight, the first of equals, or None if the client names none of them."""
    weights = _ranges(headers, "accept-encoding")
    best = max(offers, key=lambda offer: weights.get(offer, weights.get("*", 0.0)))
    return best if weights.get(best, weights.get("*", 0.0)) else None


def _ranges(headers: Headers, name: str = "accept") -> Mapping[str, float]:
    """Map each range to its weight, in the order of the header. Parameters other than the weight are ignored."""
    found: dict[str, float] = {}
    for line in headers.getlist(name):
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
