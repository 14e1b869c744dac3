"""The tables of catalogues: a few hundred rows that every node reads and only a new version changes."""

from sqlalchemy import Column, Integer, Table, Text

from infrastructure.postgres.schema.base import REFERENCE, metadata

catalogue = Table(
    "catalogue",
    metadata,
    Column("name", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("english_title", Text),
    Column("place", Integer, nullable=False),
    info=REFERENCE,
)

catalogue_entry = Table(
    "catalogue_entry",
    metadata,
    Column("name", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("english", Text),
    Column("place", Integer, nullable=False),
    info=REFERENCE,
)
