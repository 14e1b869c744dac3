"""
The rules that keep sharding possible, over the tables as they are declared.

Each rule is a function from a table to what is wrong with it, and each is shown a table that breaks it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
)
from sqlalchemy import (
    Sequence as Numbers,
)
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.sql.elements import False_, True_

from infrastructure.postgres.schema.base import BY_CHAT, LOOKUP, REFERENCE, metadata, with_all_tables

KEYS = ("chat_id", "profile_id", "account_id")

CONSTANTS = (True_, False_)
"""Defaults with which every node makes the same. Processes of an earlier version that run beside need them for new columns."""

with_all_tables(metadata)


def is_keyed(table: Table) -> bool:
    return table.info.get("keyed_by") in KEYS


def declares_its_key(table: Table) -> Iterator[str]:
    if table.info.get("keyed_by") not in (*KEYS, "lookup", "reference"):
        yield "does not say what it is keyed by"


def begins_with_its_key(table: Table) -> Iterator[str]:
    primary = [column.name for column in table.primary_key.columns]
    if not primary:
        yield "has no primary key"
    elif is_keyed(table) and primary[0] != table.info["keyed_by"]:
        yield f"its primary key begins with {primary[0]}"


def is_unique_only_within_its_key(table: Table) -> Iterator[str]:
    if is_keyed(table):
        for name, columns in uniques(table):
            if table.info["keyed_by"] not in columns:
                yield f"{name} is unique over all keys"


def looks_up_by_the_value(table: Table) -> Iterator[str]:
    if table.info.get("keyed_by") == "lookup":
        if len(table.columns) - len(table.primary_key.columns) != 1:
            yield "a lookup's primary key is the value, and beside it stands what it leads to"
        for name, _ in uniques(table):
            yield f"{name}: a lookup is unique by its value alone"


def numbers_nothing_itself(table: Table) -> Iterator[str]:
    for column in table.columns:
        if column.identity or isinstance(column.default, Numbers):
            yield f"{column.name} is numbered by the server"
        elif column.autoincrement is True:
            yield f"{column.name} increments itself"
        elif (
            column is table.autoincrement_column
            and column.server_default is None
            and len(table.primary_key) == 1
            and isinstance(column.type, Integer)
            and table.info.get("keyed_by") != "reference"
        ):
            yield f"{column.name} would become a SERIAL"
        default = getattr(column.server_default, "arg", column.server_default)
        is_made = default is not None and not isinstance(default, CONSTANTS)
        if is_made or column.onupdate or column.server_onupdate or column.computed:
            yield f"{column.name} is made by the server"


def refers_to_no_other_table(table: Table) -> Iterator[str]:
    for constraint in table.foreign_key_constraints:
        yield f"{constraint.column_keys} refers to {constraint.referred_table.name}"


def tells_time_with_its_zone(table: Table) -> Iterator[str]:
    for column in table.columns:
        if isinstance(column.type, DateTime) and not column.type.timezone:
            yield f"{column.name} is a time without a zone"


def has_only_plain_constraints(table: Table) -> Iterator[str]:
    for constraint in table.constraints:
        if not isinstance(constraint, (PrimaryKeyConstraint, UniqueConstraint, ForeignKeyConstraint)):
            yield f"{type(constraint).__name__} needs more than one node to agree, or is a rule of the domain"
        elif constraint.deferrable or constraint.initially:
            yield "a constraint is deferrable"


def stamps_its_rows(table: Table) -> Iterator[str]:
    """Logs are found again by ``tx``; a table that has it without need costs an index on every write."""
    if "tx" in table.c:
        if not isinstance(table.c.tx.type, BigInteger) or table.c.tx.nullable:
            yield "tx is a bigint and never null"
        by_tx = [index for index in table.indexes if index.columns.keys()[:1] == ["tx"]]
        if table.name in {"chat_log", "profile_log", "receipt"} and not by_tx:
            yield "what a cursor reads has an index on tx"


def is_planned_for_crowds(table: Table) -> Iterator[str]:
    """By statistics of many chats that are nearly empty, every index that begins with the chat looks as good as the others."""
    if is_keyed(table) and len(table.primary_key.columns) > 1:
        key = table.info["keyed_by"]
        begin = [table.primary_key.columns.keys(), *(columns for _, columns in uniques(table))]
        begin += [index.columns.keys() for index in table.indexes if not index.unique]
        if sum(columns[0] == key for columns in begin if columns) > 1 and "assumed_keys" not in table.info:
            yield f"several indexes begin with {key}, and it is not CROWDED"


def uniques(table: Table) -> Iterator[tuple[str, Sequence[str]]]:
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield str(constraint.name), constraint.columns.keys()
    for index in table.indexes:
        if index.unique:
            yield str(index.name), index.columns.keys()


Rule = Callable[[Table], Iterator[str]]

RULES: list[Rule] = [
    declares_its_key,
    begins_with_its_key,
    is_unique_only_within_its_key,
    looks_up_by_the_value,
    numbers_nothing_itself,
    refers_to_no_other_table,
    tells_time_with_its_zone,
    has_only_plain_constraints,
    stamps_its_rows,
    is_planned_for_crowds,
]

STAMPED = {"chat_head", "chat_log", "member", "reading", "receipt", "profile_head", "profile_log"}
"""Every row of logs, heads, members, readings and receipts carries ``tx``."""


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_every_table_keeps_every_rule(rule: Rule, table: Table) -> None:
    assert list(rule(table)) == []


def test_these_are_the_tables() -> None:
    assert {table.name for table in metadata.tables.values() if "tx" in table.c} == STAMPED
    assert {"account", "chat", "catalogue", "origin"} <= metadata.tables.keys()


def test_there_is_no_sequence() -> None:
    assert list(metadata._sequences) == []


def key(**options: Any) -> Column[Any]:
    return Column("chat_id", Uuid, primary_key=True, **options)


PLANTED: list[tuple[Rule, Callable[[], list[Any]], dict[str, Any]]] = [
    (declares_its_key, lambda: [key()], {}),
    (declares_its_key, lambda: [key()], {"keyed_by": "message_id"}),
    (begins_with_its_key, lambda: [Column("seq", BigInteger, primary_key=True), key()], BY_CHAT),
    (begins_with_its_key, lambda: [Column("chat_id", Uuid)], BY_CHAT),
    (is_unique_only_within_its_key, lambda: [key(), Column("nonce", Text, unique=True)], BY_CHAT),
    (
        is_unique_only_within_its_key,
        lambda: [key(), Column("nonce", Text), UniqueConstraint("nonce")],
        BY_CHAT,
    ),
    (
        is_unique_only_within_its_key,
        lambda: [key(), Column("n", Text), Index("ix", "n", unique=True)],
        BY_CHAT,
    ),
    (looks_up_by_the_value, lambda: [key(), Column("email", Text, primary_key=True)], LOOKUP),
    (looks_up_by_the_value, lambda: [key(), Column("account_id", Uuid, unique=True)], LOOKUP),
    (numbers_nothing_itself, lambda: [key(), Column("seq", BigInteger, Identity())], BY_CHAT),
    (numbers_nothing_itself, lambda: [key(), Column("seq", BigInteger, Numbers("numbers"))], BY_CHAT),
    (numbers_nothing_itself, lambda: [Column("chat_id", Integer, primary_key=True)], BY_CHAT),
    (
        numbers_nothing_itself,
        lambda: [key(), Column("at", DateTime(timezone=True), server_default=func.now())],
        BY_CHAT,
    ),
    (
        numbers_nothing_itself,
        lambda: [key(), Column("n", Integer), Column("m", Integer, Computed("n + 1"))],
        BY_CHAT,
    ),
    (refers_to_no_other_table, lambda: [key(), Column("other", Uuid, ForeignKey("other.id"))], BY_CHAT),
    (tells_time_with_its_zone, lambda: [key(), Column("at", DateTime)], BY_CHAT),
    (
        is_planned_for_crowds,
        lambda: [key(), Column("n", Integer, primary_key=True), Index("ix", "chat_id", "n")],
        BY_CHAT,
    ),
    (has_only_plain_constraints, lambda: [key(), CheckConstraint("true")], BY_CHAT),
    (has_only_plain_constraints, lambda: [key(), ExcludeConstraint(("chat_id", "="))], BY_CHAT),
    (
        has_only_plain_constraints,
        lambda: [key(), Column("n", Text), UniqueConstraint("n", deferrable=True)],
        BY_CHAT,
    ),
    (stamps_its_rows, lambda: [key(), Column("tx", BigInteger)], BY_CHAT),
    (stamps_its_rows, lambda: [key(), Column("tx", Integer, nullable=False)], BY_CHAT),
]


@pytest.mark.parametrize(("rule", "columns", "info"), PLANTED)
def test_a_planted_fault_is_found(rule: Rule, columns: Callable[[], list[Any]], info: dict[str, Any]) -> None:
    planted = MetaData()
    Table("other", planted, Column("id", Uuid, primary_key=True), info=REFERENCE)
    table = Table("planted", planted, *columns(), info=info)
    assert list(rule(table)) != []


def test_a_log_without_an_index_on_tx_is_found() -> None:
    table = Table("chat_log", MetaData(), key(), Column("tx", BigInteger, nullable=False), info=BY_CHAT)
    assert list(stamps_its_rows(table)) == ["what a cursor reads has an index on tx"]
