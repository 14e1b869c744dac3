"""Helpers that every adapter for divided tables uses: planner settings, derived statements, and the end of a batch."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, LiteralString, TypeVar

from domain.ids import ChatId
from infrastructure.postgres.driver.batches import Batch
from infrastructure.postgres.driver.pipeline import Rows, Statement

T = TypeVar("T")

Grouped = Mapping[ChatId, tuple[Sequence[int], Sequence[T]]]
"""Items by chat, in the order of the chats' ids: the indexes of the chat's items, and the items themselves."""

AS_DIVIDED: Final[Mapping[str, str]] = {"plan_cache_mode": "force_custom_plan"}
"""Citus finds the node of a chat in the plan, so each plan must be made for the chat."""


def changed(statement: LiteralString, *changes: tuple[LiteralString, LiteralString]) -> LiteralString:
    """
    Makes a statement for divided tables of one for one server: replaces the first text of each pair, wherever it stands, by the
    second.

    Raises:
        ValueError: A text is not there, because the statement for one server has changed.
    """
    for text, instead in changes:
        if text not in statement:
            raise ValueError(f"the statement for one server has no {text!r} to replace")
        statement = statement.replace(text, instead)
    return statement


def grouped_by_chat(items: Sequence[T], chat_of: Callable[[T], ChatId]) -> Grouped[T]:
    """Groups items by their chat, so that one statement can be asked for each chat."""
    indexes: dict[ChatId, list[int]] = {}
    for index, item in enumerate(items):
        indexes.setdefault(chat_of(item), []).append(index)
    return {id: (indexes[id], [items[index] for index in indexes[id]]) for id in sorted(indexes)}


def in_order(grouped: Grouped[Any], found: Sequence[Rows]) -> Rows:
    """
    Returns the rows in the order in which the items were before they were grouped. ``found`` has the rows of each chat, one for each of
    its items.
    """
    numbered = [
        pair
        for (indexes, _), rows in zip(grouped.values(), found, strict=True)
        for pair in zip(indexes, rows, strict=True)
    ]
    return [row for _, row in sorted(numbered, key=lambda pair: pair[0])]


async def finish(batch: Batch, statements: Sequence[Statement]) -> None:
    """Carries out the last statements of a batch. The very last is sent with COMMIT, as on one server."""
    if statements:
        *some, last = statements
        if some:
            await batch.ask(*some)
        batch.finish(last)
