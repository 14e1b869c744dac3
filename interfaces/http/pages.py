"""Content security policies of our pages, each of which allows no more than the page needs."""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256


def source(content: str) -> str:
    """Return the hash source by which a content security policy allows an inline script or style."""
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


def policy(
    *,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    own: Sequence[str] = (),
    images: str = "'none'",
) -> str:
    """Return a policy. ``styles`` and ``scripts`` are inline; ``own`` names the directives that allow files of this server."""
    directives = {
        "default-src": "'none'",
        **dict.fromkeys(own, "'self'"),
        "img-src": images,
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    for directive, contents in (("style-src", styles), ("script-src", scripts)):
        if contents:
            directives[directive] = " ".join(map(source, contents))
    return "; ".join(f"{directive} {value}" for directive, value in directives.items())
