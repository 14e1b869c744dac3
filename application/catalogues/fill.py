from collections.abc import Sequence

from attrs import frozen

from application.ports.catalogues import Catalogues
from domain.catalogue import Catalogue


@frozen(kw_only=True)
class FillCataloguesHandler:
    """Stores the lists that come with this version. Doing it again changes nothing."""

    catalogues: Catalogues
    shipped: Sequence[Catalogue]

    async def __call__(self) -> None:
        await self.catalogues.keep(self.shipped)
