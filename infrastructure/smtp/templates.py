"""The texts of letters, from the Jinja templates in ``letters/``."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

LETTERS: Final = Path(__file__).parent / "letters"


def text(template: str, known: Mapping[str, object]) -> str:
    """``template`` is the name of a file. Texts of HTML templates are escaped."""
    return _templates().get_template(template).render(known)


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(LETTERS),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
