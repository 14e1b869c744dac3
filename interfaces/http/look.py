"""The look that all pages share: their style, their icon, and the pages that lead to each other."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from attrs import frozen
from markupsafe import Markup

FOLDER: Final = Path(__file__).parents[1] / "style"

TOKENS: Final = (FOLDER / "tokens.css").read_text(encoding="utf-8")
"""The colours and letters of everything. The web client loads the same file."""
BAR: Final = TOKENS + (FOLDER / "bar.css").read_text(encoding="utf-8")
"""The style of the bar above every page except the web client's."""
STYLE: Final = BAR + (FOLDER / "page.css").read_text(encoding="utf-8")
"""The style of pages that are all ours."""

_ICON: Final = (FOLDER / "icon.svg").read_text(encoding="utf-8").strip()
ICON: Final = Markup(  # noqa: S704  # a file of ours; within HTML it needs no namespace
    _ICON.replace(' xmlns="http://www.w3.org/2000/svg"', ' aria-hidden="true"', 1)
)
FAVICON: Final = f"data:image/svg+xml;base64,{b64encode(_ICON.encode()).decode()}"

Say = Callable[[str, str], str]
"""Picks the Russian or the English text."""


@frozen(kw_only=True)
class Places:
    """Addresses of the pages for people, each empty if it is not served."""

    app: str = ""
    docs: str = ""
    status: str = ""

    def named(self, say: Say) -> Sequence[tuple[str, str, str]]:
        """Return name, address and text of each page that the bar above a page leads to."""
        found = []
        if self.docs:
            found += [
                ("docs", self.docs, say("Запросы HTTP", "HTTP operations")),
                ("events", f"{self.docs}/events", say("Кадры сокетов", "Frames of sockets")),
                ("protocol", f"{self.docs}/protocol", say("Что видят клиенты", "What clients see")),
            ]
        if self.status:
            found.append(("status", self.status, say("Состояние", "Status")))
        return found


NOWHERE: Final = Places()
