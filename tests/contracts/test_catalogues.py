"""What every storage of reference lists promises."""

import asyncio

import pytest

from application.catalogues.fill import FillCataloguesHandler
from application.ports.catalogues import Catalogues
from config.data.catalogues import CATALOGUES
from domain.catalogue import Catalogue, CatalogueNotFound, Entry
from tests.storages import SharedStorage


@pytest.fixture
def catalogues(storage: SharedStorage) -> Catalogues:
    return storage.catalogues


def made(name: str, *keys: str, value: str = "v") -> Catalogue:
    entries = tuple(Entry(key=key, value=f"{value} {key}", english=f"e {key}") for key in keys)
    return Catalogue(name=name, title=f"Т {name}", english_title=f"T {name}", entries=entries)


async def test_there_are_none_at_first(catalogues: Catalogues) -> None:
    assert list(await catalogues.headings()) == []
    with pytest.raises(CatalogueNotFound):
        await catalogues.get("test")


async def test_what_is_kept_is_there_in_its_order(catalogues: Catalogues) -> None:
    kept = [made("zoo", "z", "a", "m"), made("ape"), Catalogue(name="bee", title="Б", entries=())]
    await catalogues.keep(kept)
    assert list(await catalogues.headings()) == [each.heading for each in kept]
    assert [await catalogues.get(each.name) for each in kept] == kept


async def test_what_is_kept_again_is_as_it_was_given_last(catalogues: Catalogues) -> None:
    await catalogues.keep([made("zoo", "a", "b", "c"), made("ape", "x")])
    last = [made("ape", "y"), made("zoo", "c", "d", "a", value="w")]
    await catalogues.keep(last)
    assert [await catalogues.get(each.name) for each in last] == last
    assert [heading.key for heading in await catalogues.headings()] == ["ape", "zoo"]


async def test_others_stay_behind(catalogues: Catalogues) -> None:
    mine = made("mine", "k")
    await catalogues.keep([mine])
    for _ in range(2):
        await catalogues.keep([made("a", "k"), made("b", "k")])
    assert [heading.key for heading in await catalogues.headings()] == ["a", "b", "mine"]
    assert await catalogues.get("mine") == mine


async def test_others_stay_in_the_order_they_had(catalogues: Catalogues) -> None:
    await catalogues.keep([made(name, "k") for name in ("d", "c", "b", "a")])
    await catalogues.keep([made("b", "k")])
    assert [heading.key for heading in await catalogues.headings()] == ["b", "d", "c", "a"]
    await catalogues.keep([made("new", "k"), made("a", "k")])
    assert [heading.key for heading in await catalogues.headings()] == ["new", "a", "b", "d", "c"]


async def test_nodes_that_start_together_fill_once(catalogues: Catalogues) -> None:
    fill = FillCataloguesHandler(catalogues=catalogues, shipped=CATALOGUES)
    await asyncio.gather(*(fill() for _ in range(8)))
    await fill()
    assert list(await catalogues.headings()) == [each.heading for each in CATALOGUES]
    assert [await catalogues.get(each.name) for each in CATALOGUES] == list(CATALOGUES)
