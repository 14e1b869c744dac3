from collections.abc import Sequence
from typing import Any

from attrs import frozen
from sqlalchemy import Table, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.catalogue import Catalogue, CatalogueNotFound, Entry
from infrastructure.postgres.driver.connection import READ_SNAPSHOT
from infrastructure.postgres.driver.engine import transaction
from infrastructure.postgres.driver.errors import in_our_terms
from infrastructure.postgres.driver.unnest import columns, table_of_rows
from infrastructure.postgres.schema.catalogue_tables import catalogue, catalogue_entry


@frozen
class PostgresCatalogues:
    engine: AsyncEngine
    deadline: float = 5.0

    async def headings(self) -> Sequence[Entry]:
        async with transaction(self.engine, self.deadline) as connection:
            found = await connection.execute(
                select(catalogue.c.name, catalogue.c.title, catalogue.c.english_title).order_by(
                    catalogue.c.place, catalogue.c.name
                )
            )
            return [Entry(key=name, value=title, english=english) for name, title, english in found]

    async def get(self, name: str) -> Catalogue:
        async with transaction(self.engine, self.deadline, READ_SNAPSHOT) as connection:
            found = await connection.execute(
                select(catalogue.c.title, catalogue.c.english_title).where(catalogue.c.name == name)
            )
            heading = found.one_or_none()
            if heading is None:
                raise CatalogueNotFound
            entries = await connection.execute(
                select(catalogue_entry.c.key, catalogue_entry.c.value, catalogue_entry.c.english)
                .where(catalogue_entry.c.name == name)
                .order_by(catalogue_entry.c.place)
            )
            return Catalogue(
                name=name,
                title=heading.title,
                english_title=heading.english_title,
                entries=tuple(
                    Entry(key=key, value=value, english=english) for key, value, english in entries
                ),
            )

    async def keep(self, catalogues: Sequence[Catalogue]) -> None:
        async with transaction(self.engine, self.deadline) as connection:
            others = (
                select(
                    catalogue.c.name,
                    (
                        func.row_number().over(order_by=(catalogue.c.place, catalogue.c.name))
                        + (len(catalogues) - 1)
                    ).label("place"),
                )
                .where(catalogue.c.name.not_in([new.name for new in catalogues]))
                .subquery()
            )
            await connection.execute(
                update(catalogue)
                .where(catalogue.c.name == others.c.name, catalogue.c.place != others.c.place)
                .values(place=others.c.place)
            )
            await _put(connection, catalogue, _headings(catalogues))
            for new in catalogues:
                await connection.execute(
                    delete(catalogue_entry).where(
                        catalogue_entry.c.name == new.name,
                        catalogue_entry.c.key.not_in([entry.key for entry in new.entries]),
                    )
                )
                await _put(connection, catalogue_entry, _entries(new))
            with in_our_terms(committing=True):
                await connection.commit()


def _headings(catalogues: Sequence[Catalogue]) -> list[dict[str, Any]]:
    return [
        {"name": new.name, "title": new.title, "english_title": new.english_title, "place": place}
        for place, new in enumerate(catalogues)
    ]


def _entries(new: Catalogue) -> list[dict[str, Any]]:
    return [
        {
            "name": new.name,
            "key": entry.key,
            "value": entry.value,
            "english": entry.english,
            "place": place,
        }
        for place, entry in enumerate(new.entries)
    ]


async def _put(connection: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Inserts rows, or updates those that differ. If several nodes start at once, only the first one writes."""
    if not rows:
        return
    names = list(rows[0])
    new_rows = table_of_rows(table, names, "new_rows")
    put = insert(table).from_select(names, select(*(new_rows.c[name] for name in names)))
    changing = [name for name in names if not table.c[name].primary_key]
    await connection.execute(
        put.on_conflict_do_update(
            index_elements=list(table.primary_key.columns),
            set_={name: put.excluded[name] for name in changing},
            where=or_(*(table.c[name].is_distinct_from(put.excluded[name]) for name in changing)),
        ),
        columns(rows),
    )
