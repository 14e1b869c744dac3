"""Helpers that every adapter for divided tables uses: planner settings, derived statements, and the end of a batch."""

from collections.abc import Mapping, Sequence
from typing import Final, LiteralString

from infrastructure.postgres.driver.batches import Batch
from infrastructure.postgres.driver.pipeline import Statement

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


async def finish(batch: Batch, statements: Sequence[Statement]) -> None:
    """Carries out the last statements of a batch. The very last is sent with COMMIT, as on one server."""
    if statements:
        *some, last = statements
        if some:
            await batch.ask(*some)
        batch.finish(last)
