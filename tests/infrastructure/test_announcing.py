"""When a unit of work is announced, whatever ends it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import uuid4

import pytest
from attrs import Factory, define

from application.errors import OutcomeUnknown, Unavailable
from application.ports.posting import Indigestible, Interrupted
from application.ports.updates import Moved, Update
from domain.events import ChatAdded, ChatRemoved, Removal, SessionEnd, SessionEnded
from domain.ids import ChatId, Position, ProfileId, SessionId
from infrastructure.announcing import Announcing
from infrastructure.memory.updates import MemoryUpdates
from tests.strategies import START

CHAT = ChatId(uuid4())
ADDED = ChatAdded(profile_id=ProfileId(uuid4()), chat_id=CHAT, at=START)
REMOVED = ChatRemoved(profile_id=ProfileId(uuid4()), chat_id=CHAT, reason=Removal.LEFT, at=START)
REMINDER = Moved(chat_id=CHAT, position=Position(7))
ENDED = SessionEnded(
    profile_id=ProfileId(uuid4()), session_id=SessionId(uuid4()), reason=SessionEnd.EXPIRED, at=START
)


@define(eq=False)
class Unit:
    pending_updates: list[Update] = Factory(list)


async def commits() -> None:
    pass


def unit(commit: Callable[[], object]) -> Callable[[], AbstractAsyncContextManager[Unit]]:
    """A unit of work that ends with ``commit``."""

    @asynccontextmanager
    async def begin() -> AsyncIterator[Unit]:
        yield Unit()
        done = commit()
        if asyncio.iscoroutine(done):
            await done

    return begin


@pytest.fixture
def published() -> list[Sequence[Update]]:
    return []


@pytest.fixture
def updates(published: list[Sequence[Update]]) -> MemoryUpdates:
    updates = MemoryUpdates()
    updates.subscribe(published.append)
    return updates


async def keep(begin: Announcing[Unit], *kept: Update, then: Exception | None = None) -> None:
    async with begin() as work:
        work.pending_updates += kept
        if then:
            raise then


async def test_a_commit_is_announced_in_one_go(
    published: list[Sequence[Update]], updates: MemoryUpdates
) -> None:
    def commit() -> None:
        assert published == [], "not before"

    await keep(Announcing(unit(commit), updates), ADDED, ENDED)
    assert [list(each) for each in published] == [[ADDED, ENDED]]


async def test_there_is_nothing_to_announce(
    published: list[Sequence[Update]], updates: MemoryUpdates
) -> None:
    await keep(Announcing(unit(commits), updates))
    assert published == []


@pytest.mark.parametrize("error", [Unavailable(), Interrupted(), Indigestible()])
async def test_a_commit_that_was_refused_is_not(
    published: list[Sequence[Update]], updates: MemoryUpdates, error: Exception
) -> None:
    def commit() -> None:
        raise error

    with pytest.raises(type(error)):
        await keep(Announcing(unit(commit), updates), ADDED)
    assert published == []


@pytest.mark.parametrize("error", [ValueError(), OutcomeUnknown(), Unavailable()])
async def test_a_block_that_raises_is_not(
    published: list[Sequence[Update]], updates: MemoryUpdates, error: Exception
) -> None:
    """Also if something else has an unknown outcome: this unit never came to its commit."""
    with pytest.raises(type(error)):
        await keep(Announcing(unit(commits), updates), ADDED, then=error)
    assert published == []


async def test_an_unknown_outcome_is_hinted_at_for_each_chat_once(
    published: list[Sequence[Update]], updates: MemoryUpdates
) -> None:
    def commit() -> None:
        raise OutcomeUnknown

    with pytest.raises(OutcomeUnknown):
        await keep(Announcing(unit(commit), updates), ADDED, REMINDER, ENDED, REMOVED)
    assert [list(each) for each in published] == [[Moved(chat_id=CHAT)]]


async def test_whoever_is_cancelled_while_it_commits_leaves_hints(
    published: list[Sequence[Update]], updates: MemoryUpdates
) -> None:
    committing = asyncio.Event()

    async def commit() -> None:
        committing.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(keep(Announcing(unit(commit), updates), ADDED))
    await committing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [list(each) for each in published] == [[Moved(chat_id=CHAT)]]
