"""
Known and unknown accounts cost the same: the statements that go to the database are the same ones in the same order, and
as many passwords are verified. What is the same work takes the same time, on every machine.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from application.accounts.reset_password import ResetPassword
from application.errors import NotAuthenticated
from application.ports.passwords import UNKNOWN_REQUESTER, Requester
from domain.account import Email, PasswordHash
from infrastructure.crypto.passwords import PooledPasswords
from infrastructure.postgres.driver.engine import make_engine
from infrastructure.postgres.driver.reads import ReadPool
from infrastructure.postgres.storage import PostgresStorage
from infrastructure.postgres.views import PostgresViews
from tests.accounts_world import AccountsWorld, accounts_world
from tests.storages import memory_storage


@define
class Counting:
    passwords: PooledPasswords
    verified: list[bool] = field(factory=list)

    async def hash(self, password: str, requester: Requester = UNKNOWN_REQUESTER) -> PasswordHash:
        return await self.passwords.hash(password, requester)

    async def verify(
        self, password: str, against: PasswordHash | None, requester: Requester = UNKNOWN_REQUESTER
    ) -> bool:
        answer = await self.passwords.verify(password, against, requester)
        self.verified.append(answer)
        return answer

    def expect(self, former: PasswordHash | None) -> None:
        self.passwords.expect(former)

    def is_current(self, password_hash: PasswordHash) -> bool:
        return self.passwords.is_current(password_hash)


@define(eq=False)
class Watched:
    people: AccountsWorld
    engine: AsyncEngine

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        said: list[str] = []

        def listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            said.append(statement)

        event.listen(self.engine.sync_engine, "before_cursor_execute", listen)
        yield said
        event.remove(self.engine.sync_engine, "before_cursor_execute", listen)


@pytest.fixture
async def watched(messenger_database: str, tmp_path: Path) -> AsyncIterator[Watched]:
    engine = make_engine(messenger_database, size=5, wait=10, deadline=10)
    reads = ReadPool(messenger_database)
    storage = evolve(memory_storage(), begin=PostgresStorage(engine, 10).begin, views=PostgresViews(reads))
    async with accounts_world(storage, tmp_path / "mail") as people:
        await people.join_by_letter("known@example.com")
        await people.sign_up_as("unconfirmed@example.com")
        yield Watched(people, engine)
    await reads.close()
    await engine.dispose()


ADDRESSES = ("known@example.com", "unconfirmed@example.com", "nobody@example.com")


async def test_forgetting_a_password(watched: Watched) -> None:
    costs = set()
    for address in ADDRESSES:
        with watched.statements() as statements:
            await watched.people.accounts.reset_password(ResetPassword(email=Email(address)))
        costs.add("\n".join(statements))
    (cost,) = costs
    assert "letter" in cost


async def test_a_sign_in_that_is_refused(watched: Watched) -> None:
    counting = Counting(watched.people.passwords)
    people = watched.people
    people.accounts = people.accounts_over(evolve(people.ports, passwords=counting))
    costs = set()
    for address in ADDRESSES:
        with watched.statements() as statements, pytest.raises(NotAuthenticated):
            await people.sign_in_as(address, "wrong")
        costs.add("\n".join(statements))
    assert len(costs) == 1
    assert counting.verified == [False] * 3
