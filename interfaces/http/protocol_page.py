"""`docs/protocol.md` as a page: what the OpenAPI document cannot say, above all the frames of the socket."""

import re
from collections import Counter
from collections.abc import Iterable
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

SOURCE: Final = Path(__file__).parents[2] / "docs" / "protocol.md"

STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; overflow-wrap: break-word; }
pre { overflow-x: auto; padding: 0.75rem; border: 1px solid GrayText; border-radius: 4px; }
table { display: block; overflow-x: auto; border-collapse: collapse; margin: 1rem 0; }
th, td { border: 1px solid GrayText; padding: 0.3rem 0.6rem; text-align: start; vertical-align: top; }
"""

PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<nav><a href="{docs}">Every HTTP operation</a> · <a href="{docs}/events">Every frame of the sockets</a></nav>
<main>
{content}</main>
</body>
</html>
"""


def protocol_page(title: str, docs_path: str) -> str:
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
    content = markdown.renderer.render(tokens, markdown.options, {})
    return PAGE.format(title=escape(title), style=STYLE, docs=escape(docs_path), content=content)


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _without_other_pages(tokens: Iterable[Token]) -> Iterable[Token]:
    is_kept = True
    for token in tokens:
        if token.type == "link_open":
            is_kept = str(token.attrGet("href")).startswith("#")
        if is_kept or token.type not in {"link_open", "link_close"}:
            yield token
