"""
What a changed password leaves of the other ways to sign in, on every storage. Somebody who was in the account for a while may have
added one, so that its owner has to hear of them, and can remove them in the same step.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from application.accounts.choose_password import ChoosePassword
from application.accounts.other_ways import OwnWays
from application.accounts.reset_password import ResetPassword
from application.accounts.set_password import SetPassword
from application.accounts.signed_in import SignedIn
from application.errors import NotAuthenticated
from domain.account import Email, Password, PasswordWrong
from domain.factor import CodeWrong
from domain.identity import Identity, Subject
from domain.notification import Template
from domain.security import SecurityAct
from tests.accounts_world import PASSWORD, accounts_world
from tests.authenticator import Authenticator
from tests.contracts.test_passkeys import People
from tests.contracts.test_told_owners import factor, letters
from tests.storages import SharedStorage

ANNA = "anna@example.com"
NEW = "Another-password-1"


@pytest.fixture
async def people(storage: SharedStorage, tmp_path: Path) -> AsyncIterator[People]:
    async with accounts_world(storage, tmp_path / "mail") as world:
        yield People(world)


async def link(people: People, anna: SignedIn) -> None:
    actor, world = await people.actor(anna), people.world
    async with world.begin() as work:
        identity = Identity(
            id=world.ids.identity(),
            account_id=actor.account_id,
            subject=Subject("https://accounts.example", "1"),
            linked_at=world.clock.now(),
        )
        await work.identities.add(identity)


async def with_both(people: People) -> tuple[SignedIn, Authenticator]:
    """Returns somebody with a password, two passkeys and an identity, whose letters so far were sent."""
    anna, device = await people.world.join(ANNA), Authenticator()
    await people.add(anna, device)
    await people.add(anna, Authenticator(), "Another one")
    await link(people, anna)
    await letters(people.world)
    return anna, device


async def change(people: People, anna: SignedIn, **given: Any) -> None:
    command = SetPassword(password=Password(NEW), **given)
    await people.world.accounts.set_password(await people.actor(anna), command)


async def ways(people: People, anna: SignedIn) -> OwnWays:
    return await people.world.accounts.read_ways(await people.actor(anna))


async def test_who_has_none_hears_of_none(people: People) -> None:
    anna = await people.world.join(ANNA)
    await letters(people.world)
    assert await ways(people, anna) == OwnWays(
        has_password=True, has_second_factor=False, passkeys=0, identities=0
    )
    await change(people, anna)
    assert [each.template for each in await letters(people.world)] == [Template.PASSWORD_CHANGED]
    assert SecurityAct.OTHER_WAYS_KEPT not in await people.acts(anna)


async def test_they_stay_and_the_owner_is_told(people: People) -> None:
    anna, device = await with_both(people)
    await change(people, anna)
    assert [each.template for each in await letters(people.world)] == [Template.PASSWORD_CHANGED_WAYS_KEPT]
    acts = await people.acts(anna)
    assert {SecurityAct.PASSWORD_CHANGED, SecurityAct.OTHER_WAYS_KEPT} == set(acts[:2])
    assert await ways(people, anna) == OwnWays(
        has_password=True, has_second_factor=False, passkeys=2, identities=1
    )
    await people.sign_in(device)


async def test_a_letter_for_a_forgotten_password_removes_none_and_says_so(people: People) -> None:
    """Somebody who reads the mail of the owner must not take the other ways away."""
    _, device = await with_both(people)
    await people.world.accounts.reset_password(ResetPassword(email=Email(ANNA)))
    command = ChoosePassword(token=await people.world.mailed_token(), password=Password(NEW))
    left = await people.world.accounts.choose_password(command)
    assert (len(left.passkeys), len(left.identities), left.exist) == (2, 1, True)
    templates = [each.template for each in await letters(people.world)]
    assert templates == [Template.PASSWORD_CHANGED_WAYS_KEPT]
    assert SecurityAct.OTHER_WAYS_KEPT in await people.acts(await people.sign_in(device))


async def test_they_are_removed_in_the_same_step(people: People) -> None:
    anna, device = await with_both(people)
    await change(people, anna, old_password=PASSWORD, remove_other_ways=True)
    assert await ways(people, anna) == OwnWays(
        has_password=True, has_second_factor=False, passkeys=0, identities=0
    )
    with pytest.raises(NotAuthenticated):
        await people.sign_in(device)
    anna = await people.world.sign_in_as(ANNA, password=NEW)
    templates = [each.template for each in await letters(people.world)]
    expected = [Template.PASSKEY_REMOVED, Template.IDENTITY_UNLINKED, Template.PASSWORD_CHANGED]
    assert sorted(templates[:3]) == sorted(expected)
    acts = await people.acts(anna)
    assert {SecurityAct.PASSKEY_REMOVED, SecurityAct.IDENTITY_UNLINKED} <= set(acts)
    assert SecurityAct.OTHER_WAYS_KEPT not in acts


async def test_by_a_passkey_that_goes_with_the_others(people: People) -> None:
    anna, device = await with_both(people)
    await people.forget_password(anna)
    assert not (await ways(people, anna)).has_password
    proof = await people.prove(anna, device)
    await change(people, anna, proof=proof, remove_other_ways=True)
    assert await ways(people, anna) == OwnWays(
        has_password=True, has_second_factor=False, passkeys=0, identities=0
    )
    await people.world.sign_in_as(ANNA, password=NEW)


async def test_a_session_alone_removes_none(people: People) -> None:
    """Otherwise a thief of a session would lock the owner out with one request."""
    anna, device = await with_both(people)
    with pytest.raises(PasswordWrong):
        await change(people, anna, remove_other_ways=True)
    with pytest.raises(PasswordWrong):
        await change(people, anna, old_password="Wrong-password-1", remove_other_ways=True)
    assert (await ways(people, anna)).passkeys == 2
    await people.sign_in(device)
    await people.world.sign_in_as(ANNA)


async def test_where_there_is_a_second_factor_it_takes_a_code(people: People) -> None:
    anna, _ = await with_both(people)
    recovery, *_ = await factor(people, anna)
    assert (await ways(people, anna)).has_second_factor
    with pytest.raises(CodeWrong):
        await change(people, anna, old_password=PASSWORD, remove_other_ways=True)
    assert (await ways(people, anna)).passkeys == 2
    await change(people, anna, old_password=PASSWORD, remove_other_ways=True, code=recovery)
    assert (await ways(people, anna)).passkeys == 0
