from collections.abc import Sequence
from typing import Protocol

from domain.catalogue import Catalogue, Entry


class Catalogues(Protocol):
    """Each method is one transaction. Any may raise `Unavailable`."""

    async def headings(self) -> Sequence[Entry]:
        """The names and titles of all lists, in the order in which they were stored."""
        ...

    async def get(self, name: str) -> Catalogue:
        """
        Raises:
            CatalogueNotFound: There is no such list.
        """
        ...

    async def keep(self, catalogues: Sequence[Catalogue]) -> None:
        """
        Replaces these lists, and puts them in this order, before all others. Lists that are not named stay as they are.
        Storing the same again writes nothing.
        """
        ...
