from collections.abc import Sequence
from typing import Protocol

from domain.catalogue import Catalogue, Entry


class Catalogues(Protocol):
    """Each method is one transaction. Any may raise `Unavailable`."""

    async def headings(self) -> Sequence[Entry]:
        """What lists there are, by name, in the order in which they were kept."""
        ...

    async def get(self, name: str) -> Catalogue:
        """
        Raises:
            CatalogueNotFound: There is no such list.
        """
        ...

    async def keep(self, catalogues: Sequence[Catalogue]) -> None:
        """
        From now on these are exactly as given, in this order; lists that are not named stay as they are, behind them.
        Keeping the same again writes nothing.
        """
        ...
