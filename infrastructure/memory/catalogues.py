from collections.abc import Sequence

from attrs import define, field

from domain.catalogue import Catalogue, CatalogueNotFound, Entry


@define(eq=False)
class MemoryCatalogues:
    _kept: dict[str, Catalogue] = field(init=False, factory=dict)

    async def headings(self) -> Sequence[Entry]:
        return [catalogue.heading for catalogue in self._kept.values()]

    async def get(self, name: str) -> Catalogue:
        catalogue = self._kept.get(name)
        if catalogue is None:
            raise CatalogueNotFound
        return catalogue

    async def keep(self, catalogues: Sequence[Catalogue]) -> None:
        self._kept = {**{new.name: new for new in catalogues}, **self._without(catalogues)}

    def _without(self, catalogues: Sequence[Catalogue]) -> dict[str, Catalogue]:
        names = {catalogue.name for catalogue in catalogues}
        return {name: kept for name, kept in self._kept.items() if name not in names}
