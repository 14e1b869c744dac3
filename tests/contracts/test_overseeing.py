"""What an operator does to accounts, on every storage."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from application.accounts.assign_password import AssignPassword, AssignPasswordHandler
from application.accounts.create_account import CreateAccount, CreateAccountHandler
from application.accounts.delete_account import DeleteAccount, DeleteAccountHandler
from application.accounts.disable_account import (
    DisableAccount,
    DisableAccountHandler,
    EnableAccount,
    EnableAccountHandler,
)
from application.accounts.other_ways import TellOfPassword
from application.accounts.oversee import PAGE, ListAccountsHandler, ListSessionsOfHandler
from application.accounts.redeem import RedeemToken
from application.accounts.reset_password import ResetPassword
from application.errors import NotAuthenticated
from application.profiles.edit import EditProfile
from application.recording import RecordEvent
from domain.account import Account, AccountNotFound, Email, EmailTaken, Password, PasswordUnfit
from domain.events import SessionEnd, SessionEnded
from domain.notification import Template
from domain.profile import Username
from domain.session import Fingerprint, Origin
from tests.accounts_world import PASSWORD, START, AccountsWorld, accounts_world
from tests.storages import SharedStorage


@pytest.fixture
async def people(storage: SharedStorage, tmp_path: Path) -> AsyncIterator[AccountsWorld]:
    async with accounts_world(storage, tmp_path) as world:
        yield world


def creating(people: AccountsWorld) -> CreateAccountHandler:
    return CreateAccountHandler(
        begin=people.begin,
        clock=people.clock,
        ids=people.ids,
        passwords=people.passwords,
        rule=people.rules.password,
    )


def disabling(people: AccountsWorld) -> DisableAccountHandler:
    return DisableAccountHandler(begin=people.begin, clock=people.clock)


async def test_whoever_is_created_signs_in_and_gets_no_letter(people: AccountsWorld) -> None:
    command = CreateAccount(email=Email("One@example.com"), password=Password(PASSWORD))
    account_id = await creating(people)(command)
    actor = await people.actor(await people.sign_in_as("one@example.com"))
    assert (actor.account_id, actor.email) == (account_id, "One@example.com")
    assert not await people.workers.letters.once()
    assert people.links == []
    with pytest.raises(EmailTaken):
        await creating(people)(CreateAccount(email=Email("ONE@example.com"), password=Password(PASSWORD)))


async def test_whoever_is_disabled_is_out_and_stays_out(people: AccountsWorld) -> None:
    first = await people.join("one@example.com")
    second = await people.sign_in_as("one@example.com", device="second")
    other = await people.join("two@example.com")
    people.published.clear()
    assert await disabling(people)(DisableAccount(email=Email("ONE@example.com"))) == 2
    told = [event for event in people.published if isinstance(event, SessionEnded)]
    assert {event.session_id for event in told} == {first.session_id, second.session_id}
    assert {event.reason for event in told} == {SessionEnd.DISABLED}
    for signed_in, device in ((first, "first"), (second, "second")):
        with pytest.raises(NotAuthenticated):
            await people.actor(signed_in)
        with pytest.raises(NotAuthenticated):
            await people.refresh_with(signed_in.refresh_token, device)
    with pytest.raises(NotAuthenticated) as refused:
        await people.sign_in_as("one@example.com")
    assert refused.value.reason == "credentials_invalid"
    await people.actor(other)


async def test_whoever_waits_for_confirmation_is_out_too(people: AccountsWorld) -> None:
    await people.sign_up_as("one@example.com")
    token = await people.mailed_token()
    await disabling(people)(DisableAccount(email=Email("one@example.com")))
    with pytest.raises(NotAuthenticated):
        await people.confirm(token)
    # what was refused left no trace: once they are let in, the letter still does what it says
    await EnableAccountHandler(begin=people.begin)(EnableAccount(email=Email("one@example.com")))
    await people.confirm(token)


async def test_whoever_is_let_in_again_signs_in_anew(people: AccountsWorld) -> None:
    before = await people.join("one@example.com")
    await disabling(people)(DisableAccount(email=Email("one@example.com")))
    await EnableAccountHandler(begin=people.begin)(EnableAccount(email=Email("one@example.com")))
    with pytest.raises(NotAuthenticated):
        await people.actor(before)
    await people.actor(await people.sign_in_as("one@example.com"))


def assigning(people: AccountsWorld) -> AssignPasswordHandler:
    return AssignPasswordHandler(
        begin=people.begin,
        clock=people.clock,
        passwords=people.passwords,
        rule=people.rules.password,
        tell=TellOfPassword(record=RecordEvent(ids=people.ids, where=Origin), ids=people.ids, limits=None),
    )


async def test_a_password_that_an_operator_sets_ends_all_sessions_and_is_told_by_letter(
    people: AccountsWorld,
) -> None:
    before = await people.join("one@example.com")
    await people.sign_in_as("one@example.com", device="second")
    other = await people.join("two@example.com")
    await people.accounts.reset_password(ResetPassword(email=Email("one@example.com")))
    link = await people.mailed_token()
    people.published.clear()
    new = AssignPassword(email=Email("ONE@example.com"), password=Password("Another-Horse"))
    assert await assigning(people)(new) == 2
    told = [event for event in people.published if isinstance(event, SessionEnded)]
    assert {event.reason for event in told} == {SessionEnd.PASSWORD_CHANGED}
    with pytest.raises(NotAuthenticated):
        await people.actor(before)
    with pytest.raises(NotAuthenticated):
        await people.sign_in_as("one@example.com")
    with pytest.raises(NotAuthenticated):
        await people.accounts.redeem_token(RedeemToken(token=link, fingerprint=Fingerprint("first")))
    await people.actor(await people.sign_in_as("one@example.com", password="Another-Horse"))
    await people.actor(other)
    async with people.begin() as work:
        due = await work.letters.lock_due(people.clock.now(), 10)
    assert (due[-1].template, due[-1].recipient.text) == (Template.PASSWORD_CHANGED, "one@example.com")


async def test_a_password_that_an_operator_sets_obeys_the_rule(people: AccountsWorld) -> None:
    before = await people.join("one@example.com")
    weak = AssignPassword(email=Email("one@example.com"), password=Password("qwerty-йцукен"))
    with pytest.raises(PasswordUnfit):
        await assigning(people)(weak)
    await people.actor(before)


async def test_a_password_for_an_unconfirmed_account_confirms_it(people: AccountsWorld) -> None:
    await people.sign_up_as("one@example.com")
    new = AssignPassword(email=Email("one@example.com"), password=Password("Another-Horse"))
    assert await assigning(people)(new) == 0
    await people.actor(await people.sign_in_as("one@example.com", password="Another-Horse"))
    with pytest.raises(NotAuthenticated):  # the letter of the sign-up would have activated the other password
        await people.confirm(await people.mailed_token())


async def test_an_account_that_an_operator_deletes_is_closed_as_by_its_owner(people: AccountsWorld) -> None:
    gone = await people.join("one@example.com")
    actor = await people.actor(gone)
    await people.profiles.edit(actor, EditProfile(username=Username("anna")))
    other = await people.actor(await people.join("two@example.com"))
    people.published.clear()
    deleting = DeleteAccountHandler(begin=people.begin, clock=people.clock)
    assert await deleting(DeleteAccount(email=Email("One@example.com"))) == 1
    told = [event for event in people.published if isinstance(event, SessionEnded)]
    assert [(event.session_id, event.reason) for event in told] == [
        (gone.session_id, SessionEnd.ACCOUNT_CLOSED)
    ]
    with pytest.raises(NotAuthenticated):
        await people.actor(gone)
    with pytest.raises(NotAuthenticated):
        await people.sign_in_as("one@example.com")
    await people.profiles.edit(other, EditProfile(username=Username("anna")))
    again = await people.actor(await people.join("one@example.com"))
    assert again.account_id != actor.account_id


async def test_nobody_is_not_found(people: AccountsWorld) -> None:
    with pytest.raises(AccountNotFound):
        await disabling(people)(DisableAccount(email=Email("nobody@example.com")))
    with pytest.raises(AccountNotFound):
        await DeleteAccountHandler(begin=people.begin, clock=people.clock)(
            DeleteAccount(email=Email("nobody@example.com"))
        )
    with pytest.raises(AccountNotFound):
        await assigning(people)(
            AssignPassword(email=Email("nobody@example.com"), password=Password(PASSWORD))
        )
    with pytest.raises(AccountNotFound):
        await ListSessionsOfHandler(begin=people.begin)(Email("nobody@example.com"))


async def test_everybody_is_listed_by_address_whatever_its_case(people: AccountsWorld) -> None:
    addresses = [f"{letter}{number:03}@example.com" for number in range(PAGE // 2 + 2) for letter in "Ba"]
    async with people.begin() as work:
        for address in addresses:
            await work.accounts.add(Account(id=people.ids.account(), email=Email(address), created_at=START))
    listed = [account.email.text async for account in ListAccountsHandler(begin=people.begin)()]
    assert listed == sorted(addresses, key=str.lower)


async def test_sessions_are_those_that_live(people: AccountsWorld) -> None:
    await people.join("one@example.com")
    await people.sign_in_as("one@example.com", device="second")
    again = await people.sign_in_as("one@example.com", device="first")
    found = await ListSessionsOfHandler(begin=people.begin)(Email("one@example.com"))
    assert sorted(session.fingerprint.text for session in found) == ["first", "second"]
    assert again.session_id in {session.id for session in found}
