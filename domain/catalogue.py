"""Reference lists, such as countries: keys and the values that clients show for them, the same for everybody."""

import re
from enum import StrEnum
from typing import Final

from attrs import field, frozen

from domain.errors import Invalid, NotFound
from domain.text import refuse_unstorable

NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
LIMIT: Final = 100
"""The greatest length of a name, a key or a value, in characters."""


class CatalogueNotFound(NotFound):
    code = "catalogue_not_found"


class BadCatalogue(Invalid):
    """The name cannot be part of a path, a text is empty or too long, or a key occurs twice."""

    code = "bad_catalogue"


class Language(StrEnum):
    RUSSIAN = "ru"
    ENGLISH = "en"


def _is_a_text(_: object, __: object, text: str) -> None:
    if not 1 <= len(text) <= LIMIT:
        raise BadCatalogue
    refuse_unstorable(text)


def _is_a_text_or_none(of: object, field: object, text: str | None) -> None:
    if text is not None:
        _is_a_text(of, field, text)


@frozen(kw_only=True)
class Entry:
    key: str = field(validator=_is_a_text)
    value: str = field(validator=_is_a_text)
    english: str | None = field(default=None, validator=_is_a_text_or_none)
    """The English value, if it differs from ``value``."""

    def value_in(self, language: Language) -> str:
        return self.english or self.value if language is Language.ENGLISH else self.value


@frozen(kw_only=True)
class Catalogue:
    """``name`` is a part of a path: small letters, digits and single hyphens."""

    name: str = field()
    title: str = field(validator=_is_a_text)
    english_title: str | None = field(default=None, validator=_is_a_text_or_none)
    entries: tuple[Entry, ...] = field()
    """In the order in which they are shown."""

    @name.validator
    def _fits_a_path(self, _: object, name: str) -> None:
        if len(name) > LIMIT or not NAME.fullmatch(name):
            raise BadCatalogue

    @entries.validator
    def _names_each_once(self, _: object, entries: tuple[Entry, ...]) -> None:
        if len({entry.key for entry in entries}) != len(entries):
            raise BadCatalogue

    @property
    def heading(self) -> Entry:
        """This catalogue as an entry of the list of all catalogues."""
        return Entry(key=self.name, value=self.title, english=self.english_title)
