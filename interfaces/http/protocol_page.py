"""`docs/protocol.md` as a page: what the OpenAPI document cannot say, above all the frames of the socket."""

import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from interfaces.http.look import Places
from interfaces.http.pages import render

SOURCE: Final = Path(__file__).parents[2] / "docs" / "protocol.md"


def protocol_page(title: str, places: Places) -> str:
    """
    Render the page. Headings can be linked to, as on sites that show Markdown: a repeated one gets a number.

    Links to other pages of ``docs/`` become plain text, because this server does not have them.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(SOURCE.read_text(encoding="utf-8"))
    anchors: Counter[str] = Counter()
    for token, following in pairwise(tokens):
        if token.type == "heading_open":
            anchor = _anchor(following.content)
            repeated = f"-{anchors[anchor]}" if anchors[anchor] else ""
            anchors[anchor] += 1
            token.attrSet("id", anchor + repeated)
        if token.children:
            token.children = list(_without_other_pages(token.children))
    content = Markup(markdown.renderer.render(tokens, markdown.options, {}))  # noqa: S704  # of a file of ours
    return render("protocol.html", places=places, here="protocol", title=title, content=content)


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _without_other_pages(tokens: Iterable[Token]) -> Iterable[Token]:
    is_kept = True
    for token in tokens:
        if token.type == "link_open":
            is_kept = str(token.attrGet("href")).startswith("#")
        if is_kept or token.type not in {"link_open", "link_close"}:
            yield token
