"""Arrays as packed here are arrays as psycopg and the server know them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.adapt import PyFormat, Transformer
from psycopg.types.numeric import Int8

from infrastructure.postgres.driver import arrays
from tests.postgres import PostgresServer
from tests.strategies import START

characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
uuids = st.lists(st.uuids(), max_size=5)
bigints = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5)
moments = st.lists(st.datetimes(timezones=st.just(UTC)), max_size=5)
texts = st.lists(st.text(characters, max_size=20), max_size=5)


def dumped(values: Sequence[object]) -> bytes:
    """By psycopg itself, which takes a list apart element by element."""
    dumper = Transformer().get_dumper(list(values), PyFormat.BINARY)
    data = dumper.dump(list(values))
    assert data is not None
    return bytes(data)


@given(uuids.filter(bool))
def test_uuids_as_psycopg_dumps_them(values: list[UUID]) -> None:
    assert arrays.Uuids.of(values).data == dumped(values)


@given(bigints.filter(bool))
def test_bigints_as_psycopg_dumps_them(values: list[int]) -> None:
    assert arrays.Bigints.of(values).data == dumped([Int8(value) for value in values])


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_number_as_psycopg_dumps_it(value: int) -> None:
    assert arrays.Bigint.of(value).data == Transformer().get_dumper(Int8(value), PyFormat.BINARY).dump(
        Int8(value)
    )


@given(moments.filter(bool))
def test_moments_as_psycopg_dumps_them(values: list[datetime]) -> None:
    assert arrays.Moments.of(values).data == dumped(values)


def test_a_moment_may_be_null() -> None:
    values = [START, None]
    assert arrays.Moments.or_null(values).data == dumped(values)
    assert arrays.Moments.or_null([START]).data == arrays.Moments.of([START]).data


@given(texts.filter(bool))
def test_texts_as_psycopg_dumps_them(values: list[str]) -> None:
    assert arrays.Texts.of(values).data == dumped(values)


@pytest.fixture(scope="module")
def connection(postgres_server: PostgresServer) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with postgres_server.connect() as connection:
        arrays.register(connection.adapters)
        yield connection


@settings(max_examples=50)
@given(uuids, bigints, moments, texts)
def test_the_server_reads_what_was_packed(
    connection: psycopg.Connection[tuple[Any, ...]],
    some_uuids: list[UUID],
    some_bigints: list[int],
    some_moments: list[datetime],
    some_texts: list[str],
) -> None:
    packed = (
        arrays.Uuids.of(some_uuids),
        arrays.Bigints.of(iter(some_bigints)),
        arrays.Moments.of(iter(some_moments)),
        arrays.Texts.of(some_texts),
    )
    row = connection.execute("SELECT %s, %s, %s, %s", packed, binary=True).fetchone()
    assert row == (some_uuids, some_bigints, some_moments, some_texts)
