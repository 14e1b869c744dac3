"""
Pages for people, from the templates in ``templates/``: in Russian or English, as the browser asks, and with a content
security policy that allows no more than the page needs.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse

from interfaces.http.accept import preferred_language
from interfaces.http.look import FAVICON, ICON, NOWHERE, STYLE, Places

TEMPLATES: Final = Path(__file__).with_name("templates")
LANGUAGES: Final = ("en", "ru")
"""The first is for browsers that prefer neither."""

LETTER_SCRIPT: Final = (TEMPLATES / "letter.js").read_text(encoding="utf-8")
"""The script of the pages to which letters link."""

_environment: Final = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
)


def page(
    headers: Headers,
    template: str,
    status: int = 200,
    more: Mapping[str, str] | None = None,
    *,
    script: str = "",
    places: Places = NOWHERE,
    here: str = "",
    app_url: str = "",
    **values: object,
) -> HTMLResponse:
    """
    Render a page for the browser that sent ``headers``. ``more`` are headers of the answer, ``here`` is the
    name of the page among the places, and ``app_url`` is where people go on.

    A page with a script may ask this server, and send forms to it.
    """
    language = preferred_language(headers, LANGUAGES)
    content = _environment.get_template(template).render(
        language=language,
        say=partial(_in, language),
        style=Markup(STYLE),  # noqa: S704  # a file of ours
        script=Markup(script),  # noqa: S704  # a file of ours
        places=places,
        here=here,
        app_url=app_url,
        **values,
    )
    allowed = (
        policy(styles=(STYLE,), scripts=(script,), own=("connect-src", "form-action"), images="data:")
        if script
        else policy(styles=(STYLE,), images="data:")
    )
    return HTMLResponse(
        content,
        status,
        {
            "Content-Security-Policy": allowed,
            "Content-Language": language,
            "Vary": "Accept, Accept-Language",
            **(more or {}),
        },
    )


def render(template: str, *, places: Places, here: str, **values: object) -> str:
    """
    Render a page in English that is the same for every browser. ``here`` is its name among the places. Texts may have code
    between backticks: ``with_code``.
    """
    return _environment.get_template(template).render(
        style=Markup(STYLE),  # noqa: S704  # a file of ours
        say=partial(_in, "en"),
        places=places,
        here=here,
        **values,
    )


def _in(language: str, russian: str, english: str) -> str:
    return russian if language == "ru" else english


def with_code(text: str) -> Markup:
    """Escape a text, and mark the parts between backticks as code."""
    parts = str(escape(text)).split("`")
    return Markup(  # noqa: S704  # escaped above
        "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
    )


_environment.filters["with_code"] = with_code
_environment.globals.update(icon=ICON, favicon=FAVICON)


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
    """Return a policy. ``styles`` and ``scripts`` are inline; ``own`` names the directives that allow this server."""
    directives = {
        "default-src": "'none'",
        "img-src": images,
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        **dict.fromkeys(own, "'self'"),
    }
    for directive, contents in (("style-src", styles), ("script-src", scripts)):
        if contents:
            directives[directive] = " ".join(map(source, contents))
    return "; ".join(f"{directive} {value}" for directive, value in directives.items())
