from typing import Final

from attrs import frozen

from application.catalogues.countries import COUNTRIES
from application.catalogues.time_zones import TIME_ZONES
from application.ports.catalogues import Catalogues
from domain.catalogue import Catalogue, Entry

TEST: Final = Catalogue(
    name="test",
    title="Проверка",
    english_title="Test",
    entries=(Entry(key="test", value="Тест"),),
)
"""The original messenger's only list, the same in every language."""

SHIPPED: Final = (TEST, COUNTRIES, TIME_ZONES)


@frozen(kw_only=True)
class FillCataloguesHandler:
    """Stores the lists that come with this version. Doing it again changes nothing."""

    catalogues: Catalogues

    async def __call__(self) -> None:
        await self.catalogues.keep(SHIPPED)
