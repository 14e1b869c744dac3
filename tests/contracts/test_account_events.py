"""What happens to the security of an account is kept for its owner, and becomes a line of the security log."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve

from application.accounts.access_tokens import EndAccessToken, MakeAccessToken
from application.accounts.choose_password import ChoosePassword
from application.accounts.close import CloseAccount
from application.accounts.sign_out import SignOut
from application.errors import NotAuthenticated
from application.paging import EventPlace, Paging
from application.ports.storage import Begin, UnitOfWork
from application.recording import RecordEvent
from domain.account import Email, Password
from domain.ids import AccountId, EventId, SessionId
from domain.scope import TokenName
from domain.security import AccountEvent, SecurityAct
from domain.session import Origin
from interfaces.whereabouts import Whereabouts, present
from tests.accounts_world import PASSWORD, START, AccountsWorld, accounts_world
from tests.storages import SharedStorage

ANN = "ann@example.com"
HERE = Origin(user_agent="Firefox", address="203.0.113.7")


def event(account_id: AccountId, minutes: int = 0) -> AccountEvent:
    return AccountEvent(
        id=EventId(uuid4()),
        account_id=account_id,
        act=SecurityAct.SIGNED_IN,
        at=START + timedelta(minutes=minutes),
        session_id=SessionId(uuid4()) if minutes % 2 else None,
        origin=HERE if minutes % 2 else Origin(),
    )


async def kept(
    begin: Begin, account_id: AccountId, paging: Paging[EventPlace] | None = None
) -> list[AccountEvent]:
    async with begin() as work:
        return list((await work.events.page(account_id, paging or Paging())).items)


class TestStored:
    async def test_an_account_keeps_its_newest_events(self, begin: Begin) -> None:
        ann, bob = AccountId(uuid4()), AccountId(uuid4())
        of_ann = [event(ann, minutes) for minutes in (3, 1, 2, 5, 4)]
        async with begin() as work:
            for each in of_ann:
                await work.events.add(each, keep=3)
            await work.events.add(of_bob := event(bob), keep=3)
        newest = sorted(of_ann, key=lambda each: each.at, reverse=True)
        assert await kept(begin, ann) == newest[:3]
        assert await kept(begin, bob) == [of_bob]

    async def test_failed_sign_ins_push_nothing_else_out(self, begin: Begin) -> None:
        ann = AccountId(uuid4())
        own = [event(ann, minutes) for minutes in range(6)]
        failed = [evolve(event(ann, minutes), act=SecurityAct.SIGN_IN_FAILED) for minutes in range(10, 30)]
        async with begin() as work:
            for each in (*own, *failed):
                await work.events.add(each, keep=8)
        assert await kept(begin, ann) == [*failed[:-3:-1], *own[::-1]], "a quarter of what is kept"
        async with begin() as work:
            await work.events.add(last := event(ann, 40), keep=8)
        assert await kept(begin, ann) == [last, *failed[:-3:-1], *own[:0:-1]]

    async def test_those_that_are_added_at_once_stay_bounded(self, begin: Begin) -> None:
        ann = AccountId(uuid4())

        async def add(minutes: int) -> None:
            async with begin() as work:
                await work.events.add(evolve(event(ann, minutes), act=SecurityAct.SIGN_IN_FAILED), keep=8)

        for start in (0, 8, 16):
            await asyncio.gather(*(add(start + each) for each in range(8)))
        await add(24)
        assert len(await kept(begin, ann)) == 2

    async def test_pages_go_on_where_the_last_one_ended(self, begin: Begin) -> None:
        ann = AccountId(uuid4())
        same_moment = [evolve(event(ann, minutes // 2), id=EventId(uuid4())) for minutes in range(9)]
        async with begin() as work:
            for each in same_moment:
                await work.events.add(each, keep=100)
        everything, after = await kept(begin, ann), None
        read: list[AccountEvent] = []
        while True:
            async with begin() as work:
                page = await work.events.page(ann, Paging(limit=2, after=after))
            read += page.items
            if (after := page.next) is None:
                break
        assert read == everything
        assert set(read) == set(same_moment)

    async def test_old_events_go(self, begin: Begin) -> None:
        ann = AccountId(uuid4())
        old, new = event(ann), event(ann, 10)
        async with begin() as work:
            await work.events.add(old, keep=9)
            await work.events.add(new, keep=9)
            await work.events.remove_older(new.at)
        assert await kept(begin, ann) == [new]

    async def test_a_unit_that_is_rolled_back_keeps_and_logs_nothing(
        self, people: AccountsWorld, caplog: pytest.LogCaptureFixture
    ) -> None:
        ann = AccountId(uuid4())

        async def fail() -> None:
            async with people.begin() as work:
                await work.events.add(event(ann), keep=9)
                raise LookupError

        caplog.set_level(logging.INFO, "security")
        with pytest.raises(LookupError):
            await fail()
        assert await kept(people.begin, ann) == []
        assert caplog.records == []


@pytest.fixture
async def people(storage: SharedStorage, tmp_path: Path) -> AsyncIterator[AccountsWorld]:
    async with accounts_world(storage, tmp_path) as world:
        yield world


async def acts(people: AccountsWorld) -> list[tuple[SecurityAct, SessionId | None]]:
    """The events of Ann's account, the oldest first."""
    async with people.begin() as work:
        account = await work.accounts.find_by_email(Email(ANN))
        assert account is not None
        page = await work.events.page(account.id, Paging())
    return [(each.act, each.session_id) for each in reversed(page.items)]


class TestUseCases:
    async def test_a_life_of_an_account(
        self, people: AccountsWorld, caplog: pytest.LogCaptureFixture
    ) -> None:
        present.set(Whereabouts(request_id="r1", origin=HERE))
        caplog.set_level(logging.INFO, "security")
        first = await people.join(ANN)
        people.clock.pass_by(minutes=1)
        with pytest.raises(NotAuthenticated):
            await people.sign_in_as(ANN, "wrong")
        people.clock.pass_by(minutes=1)
        second = await people.sign_in_as(ANN, device="other")
        people.clock.pass_by(minutes=1)
        third = await people.refresh_with(second.refresh_token, device="other")
        people.clock.pass_by(minutes=1)
        with pytest.raises(NotAuthenticated):
            await people.refresh_with(second.refresh_token, device="other")
        people.clock.pass_by(minutes=1)
        await people.accounts.sign_out(SignOut(access_token=first.access_token))
        people.clock.pass_by(minutes=1)
        fourth = await people.sign_in_as(ANN)
        people.clock.pass_by(minutes=1)
        token = await people.forget_password(ANN)
        people.clock.pass_by(minutes=1)
        await people.accounts.choose_password(
            ChoosePassword(token=token, password=Password("Another-horse-1"))
        )
        assert await acts(people) == [
            (SecurityAct.ADDRESS_CONFIRMED, first.session_id),
            (SecurityAct.SIGN_IN_FAILED, None),
            (SecurityAct.SIGNED_IN, second.session_id),
            (SecurityAct.TOKEN_REUSED, second.session_id),
            (SecurityAct.SIGNED_OUT, first.session_id),
            (SecurityAct.SIGNED_IN, fourth.session_id),
            (SecurityAct.PASSWORD_RESET_ASKED, None),
            (SecurityAct.PASSWORD_CHANGED, None),
        ]
        lines = [vars(record) for record in caplog.records if record.name == "security"]
        assert [line["act"] for line in lines] == [
            "address_confirmed",
            "sign_in_failed",
            "signed_in",
            "token_reused",
            "access_denied",  # the same refresh, as its client sees it
            "signed_out",
            "signed_in",
            "password_reset_asked",
            "password_changed",
        ]
        assert {(line["request_id"], line["client"]) for line in lines} == {("r1", "203.0.113.7")}
        secrets = (PASSWORD, "wrong", "Another-horse-1", token, third.refresh_token, third.access_token)
        assert not [line for line in lines for secret in secrets if secret in str(line)]

    async def test_an_unknown_address_fails_with_the_same_line(
        self, people: AccountsWorld, caplog: pytest.LogCaptureFixture
    ) -> None:
        await people.join(ANN)
        caplog.set_level(logging.INFO, "security")
        for address in (ANN, "nobody@example.com"):
            with pytest.raises(NotAuthenticated):
                await people.sign_in_as(address, "wrong")
        known, unknown = (
            {name: value for name, value in vars(record).items() if name in {"act", "outcome", "reason"}}
            for record in caplog.records
            if record.name == "security"
        )
        assert known == unknown
        assert known["act"] == "sign_in_failed"

    async def test_unknown_addresses_leave_no_more_than_one_account_does(
        self, people: AccountsWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        added: list[AccountId] = []
        record = RecordEvent.__call__

        async def noted(
            self: RecordEvent, work: UnitOfWork, act: SecurityAct, whose: AccountId, **more: Any
        ) -> None:
            added.append(whose)
            await record(self, work, act, whose, **more)

        monkeypatch.setattr(RecordEvent, "__call__", noted)
        people.rules = evolve(people.rules, events_kept=8)
        people.accounts = people.accounts_over(people.ports)
        for number in range(5):
            with pytest.raises(NotAuthenticated):
                await people.sign_in_as(f"nobody{number}@example.com", "wrong")
        left = [each for whose in set(added) for each in await kept(people.begin, whose)]
        assert len(added) == 5
        assert len(left) == 2, "all events of the storage: of no address one more than of an account"

    async def test_access_tokens_are_events_of_the_account(
        self, people: AccountsWorld, caplog: pytest.LogCaptureFixture
    ) -> None:
        actor = await people.actor(await people.join(ANN))
        caplog.set_level(logging.INFO, "security")
        caplog.clear()
        people.clock.pass_by(minutes=1)
        made = await people.access_tokens.make(
            actor, MakeAccessToken(name=TokenName("Bot"), scopes=frozenset(), password=PASSWORD)
        )
        people.clock.pass_by(minutes=1)
        await people.access_tokens.end(actor, EndAccessToken(token_id=made.session.id))
        assert (await acts(people))[-2:] == [
            (SecurityAct.ACCESS_TOKEN_MADE, made.session.id),
            (SecurityAct.ACCESS_TOKEN_ENDED, made.session.id),
        ]
        lines = [vars(record)["act"] for record in caplog.records if record.name == "security"]
        assert lines == ["access_token_made", "access_token_ended"], "each is told once"

    async def test_revoked_sessions_and_a_closed_account(self, people: AccountsWorld) -> None:
        first = await people.join(ANN)
        others = [await people.sign_in_as(ANN, device=name) for name in ("b", "c")]
        actor = await people.actor(first)
        await people.revoke_others(first)
        ended = {session for act, session in await acts(people) if act is SecurityAct.SESSION_REVOKED}
        assert ended == {each.session_id for each in others}
        page = await people.sessions.events(actor, Paging(limit=1))
        assert page.next is not None
        async with people.begin() as work:
            account = await work.accounts.find_by_email(Email(ANN))
            assert account is not None
        await people.accounts.close(actor, CloseAccount(password=PASSWORD))
        assert (await kept(people.begin, account.id))[0].act is SecurityAct.ACCOUNT_CLOSED
        people.clock.pass_by(minutes=10)
        await people.workers.closed_accounts.once()
        async with people.begin() as work:
            page = await work.events.page(account.id, Paging())
        assert page.items == [], "they go with the account"
