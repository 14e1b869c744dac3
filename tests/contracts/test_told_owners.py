"""The letters that tell owners what was done to the security of their accounts, on every storage."""

from base64 import b32decode
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from application.accounts.access_tokens import MakeAccessToken
from application.accounts.factors import ConfirmFactor, ProveBoth, SetUpFactor
from application.accounts.forget_factor import ForgetFactor, ForgetFactorHandler
from application.accounts.signed_in import SignedIn
from application.accounts.telling import TellOwner
from application.errors import NotAuthenticated
from application.paging import Paging
from application.recording import RecordEvent
from domain.account import Email
from domain.factor import step_at
from domain.notification import Letter, Template
from domain.passkey import PasskeyCopied
from domain.scope import TokenName
from domain.security import SecurityAct
from domain.session import Origin
from infrastructure.crypto.codes import totp
from tests.accounts_world import PASSWORD, AccountsWorld, accounts_world
from tests.authenticator import Authenticator, Held
from tests.contracts.test_passkeys import People
from tests.storages import SharedStorage

ANNA = "anna@example.com"

Act = Callable[[People, SignedIn], Awaitable[None]]


@pytest.fixture
async def people(storage: SharedStorage, tmp_path: Path) -> AsyncIterator[People]:
    async with accounts_world(storage, tmp_path / "mail") as world:
        yield People(world)


async def factor(people: People, anna: SignedIn) -> list[str]:
    """Switches a second factor on, and returns the recovery codes."""
    actor, world = await people.actor(anna), people.world
    made = await world.factors.set_up(actor, SetUpFactor(password=PASSWORD))
    code = totp(b32decode(made.shown), step_at(world.clock.now()))
    return list(await world.factors.confirm(actor, ConfirmFactor(code=code)))


async def switch_on(people: People, anna: SignedIn) -> None:
    await factor(people, anna)


async def renew(people: People, anna: SignedIn) -> None:
    code, *_ = await factor(people, anna)
    both = ProveBoth(password=PASSWORD, code=code)
    await people.world.factors.renew_recovery_codes(await people.actor(anna), both)


async def switch_off(people: People, anna: SignedIn) -> None:
    code, *_ = await factor(people, anna)
    await people.world.factors.turn_off(await people.actor(anna), ProveBoth(password=PASSWORD, code=code))


async def forget(people: People, anna: SignedIn) -> None:
    await factor(people, anna)
    world = people.world
    record = RecordEvent(ids=world.ids, where=Origin)
    tell = TellOwner(record=record, ids=world.ids, limits=None)
    await ForgetFactorHandler(begin=world.begin, clock=world.clock, tell=tell)(
        ForgetFactor(email=Email(ANNA))
    )


async def make_token(people: People, anna: SignedIn) -> None:
    wanted = MakeAccessToken(name=TokenName("bot"), scopes=frozenset(), password=PASSWORD)
    await people.world.access_tokens.make(await people.actor(anna), wanted)


async def reuse(people: People, anna: SignedIn) -> None:
    await people.world.refresh_with(anna.refresh_token)
    people.world.clock.pass_by(minutes=1)
    with pytest.raises(NotAuthenticated):
        await people.world.refresh_with(anna.refresh_token)


async def steal(people: People, anna: SignedIn) -> None:
    with pytest.raises(NotAuthenticated):
        await people.world.refresh_with(anna.refresh_token, "of a thief")


async def add(people: People, anna: SignedIn) -> None:
    await people.add(anna, Authenticator())


async def remove(people: People, anna: SignedIn) -> None:
    passkey = await people.add(anna, Authenticator())
    await people.remove(anna, passkey.id)


async def copy(people: People, anna: SignedIn) -> None:
    device = Authenticator()
    await people.add(anna, device)
    copied = Held(device.held[0].id, device.held[0].key, device.held[0].handle)
    await people.sign_in(device, name="first")
    with pytest.raises(PasskeyCopied):
        await people.sign_in(device, copied, name="first")


TOLD: list[tuple[Template, Act]] = [
    (Template.FACTOR_ON, switch_on),
    (Template.RECOVERY_CODES_RENEWED, renew),
    (Template.FACTOR_OFF, switch_off),
    (Template.FACTOR_OFF, forget),
    (Template.ACCESS_TOKEN_MADE, make_token),
    (Template.TOKEN_REUSED, reuse),
    (Template.TOKEN_REUSED, steal),
    (Template.PASSKEY_ADDED, add),
    (Template.PASSKEY_REMOVED, remove),
    (Template.PASSKEY_COPIED, copy),
]


async def letters(world: AccountsWorld) -> list[Letter]:
    """Takes the letters that are due out of the queue, and returns them."""
    async with world.begin() as work:
        found: list[Letter] = []
        while due := await work.letters.lock_due(world.clock.now(), 100):
            for letter in due:
                letter.sent()
                await work.letters.save(letter)
            found += due
    return found


@pytest.mark.parametrize(("template", "act"), TOLD, ids=lambda each: getattr(each, "__name__", str(each)))
async def test_each_act_is_told(people: People, template: Template, act: Act) -> None:
    anna = await people.world.join(ANNA)
    await letters(people.world)
    await act(people, anna)
    told = [each for each in await letters(people.world) if each.template is template]
    assert [(each.recipient.text, each.link) for each in told] == [(ANNA, None)]
    async with people.world.begin() as work:
        account = await work.accounts.find_by_email(Email(ANNA))
        assert account is not None
        events = (await work.events.page(account.id, Paging())).items
    assert SecurityAct(template.value) in [each.act for each in events]


async def test_they_are_limited_and_the_event_is_there_all_the_same(people: People) -> None:
    anna = await people.world.join(ANNA)
    actor = await people.actor(anna)
    await letters(people.world)
    most = people.world.rules.notices.most
    for _ in range(most + 2):
        passkey = await people.add(anna, Authenticator())
        await people.remove(anna, passkey.id)
    templates = [each.template for each in await letters(people.world)]
    assert templates.count(Template.PASSKEY_ADDED) == templates.count(Template.PASSKEY_REMOVED) == most
    events = (await people.world.sessions.events(actor, Paging())).items
    assert [each.act for each in events].count(SecurityAct.PASSKEY_ADDED) == most + 2
