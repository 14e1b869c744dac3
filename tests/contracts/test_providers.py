"""Signing in through a provider of identities, and linking one, told as histories, on every storage."""

import asyncio
from base64 import b32decode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from attrs import define

from application.accounts.factors import ConfirmFactor, SetUpFactor
from application.accounts.finish_sign_in import FinishSignIn
from application.accounts.identities import BeginLink, FinishLink, Unlink
from application.accounts.provider_sign_in import BeginProviderSignIn, FinishProviderSignIn
from application.accounts.signed_in import SignedIn
from application.accounts.visits import ComeBack, Departure
from application.errors import NotAuthenticated, ProviderUnavailable, SecondFactorNeeded
from application.paging import Paging
from application.ports.limiter import TooManyRequests
from config.settings.groups import Auth
from domain.account import PasswordWrong
from domain.factor import CodeWrong, step_at
from domain.identity import (
    IdentityNotFound,
    IdentityTaken,
    IdentityUnknown,
    ProviderNotFound,
    ProviderRefused,
)
from domain.ids import IdentityId
from domain.notification import Template
from domain.security import SecurityAct
from domain.session import Fingerprint, Origin
from infrastructure.crypto.codes import totp
from infrastructure.oidc.providers import OidcProviders
from infrastructure.smtp.writing import SUBJECTS
from tests.accounts_world import PASSWORD, AccountsWorld, accounts_world, letters_in
from tests.identity_provider import IdentityProvider
from tests.storages import SharedStorage

ANNA = "anna@example.com"
CALLBACK = "http://chat.example/callback/"


@pytest.fixture
def there() -> Iterator[IdentityProvider]:
    with IdentityProvider().running() as provider:
        yield provider


@define
class People:
    world: AccountsWorld
    there: IdentityProvider

    def set_up(self, *, trusts_email: bool = True, id: str = "example") -> None:
        """Sets the provider up in this way from now on."""
        registration = self.there.registration(id, trusts_email=trusts_email)
        self.world.providers = OidcProviders.of(
            [registration], callback=lambda id: f"{CALLBACK}{id}/", deadline=20.0
        )
        self.world.ports = self.world._ports()
        self.world.through_providers = self.world.providers_over(self.world.ports)

    async def leave(self, device: str = "first", **origin: str) -> Departure:
        command = BeginProviderSignIn(
            provider="example", fingerprint=Fingerprint(device), origin=Origin(**origin)
        )
        return await self.world.through_providers.begin(command)

    async def come_back(self, departure: Departure, **changed: Any) -> str:
        """Signs in at the provider, comes back in the same browser, and returns the visit."""
        back = parse_qs(urlsplit(self.there.visit(departure.url)).query)
        brought = {
            "provider": "example",
            "visit": departure.visit,
            "state": back["state"][0],
            "code": back["code"][0],
            "issuer": back["iss"][0],
        }
        return (await self.world.through_providers.come_back(ComeBack(**brought | changed))).visit

    async def finish(self, visit: str, **origin: str) -> SignedIn:
        command = FinishProviderSignIn(visit=visit, origin=Origin(**origin))
        return await self.world.through_providers.finish(command)

    async def sign_in(self, device: str = "first", **origin: str) -> SignedIn:
        return await self.finish(await self.come_back(await self.leave(device)), **origin)

    async def link(self, signed_in: SignedIn, password: str = PASSWORD) -> IdentityId:
        actor = await self.world.actor(signed_in)
        departure = await self.world.through_providers.begin_link(
            actor, BeginLink(provider="example", password=password)
        )
        visit = await self.come_back(departure)
        return (await self.world.through_providers.finish_link(actor, FinishLink(visit=visit))).id

    async def unlink(self, signed_in: SignedIn, identity_id: IdentityId, password: str = PASSWORD) -> None:
        actor = await self.world.actor(signed_in)
        command = Unlink(identity_id=identity_id, password=password)
        await self.world.through_providers.unlink(actor, command)

    async def linked(self, signed_in: SignedIn) -> list[str]:
        actor = await self.world.actor(signed_in)
        return [each.subject.name for each in await self.world.through_providers.list(actor)]

    async def acts(self, signed_in: SignedIn) -> list[SecurityAct]:
        actor = await self.world.actor(signed_in)
        return [each.act for each in (await self.world.sessions.events(actor, Paging())).items]

    async def email(self, signed_in: SignedIn) -> str:
        return (await self.world.actor(signed_in)).email


@pytest.fixture
async def people(storage: SharedStorage, tmp_path: Path, there: IdentityProvider) -> AsyncIterator[People]:
    async with accounts_world(storage, tmp_path / "mail") as world:
        there.now = lambda: world.clock.now().timestamp()
        people = People(world, there)
        people.set_up()
        yield people


class TestSigningIn:
    async def test_somebody_new_gets_an_account(self, people: People) -> None:
        first = await people.sign_in()
        assert await people.email(first) == ANNA
        again = await people.sign_in("second")
        actors = [await people.world.actor(each) for each in (first, again)]
        assert actors[0].account_id == actors[1].account_id
        assert await people.linked(first) == [people.there.subject]
        assert set(await people.acts(first)) == {
            SecurityAct.SIGNED_IN,
            SecurityAct.IDENTITY_LINKED,
            SecurityAct.ADDRESS_CONFIRMED,
        }
        with pytest.raises(NotAuthenticated):
            await people.world.sign_in_as(ANNA, "")

    async def test_the_address_opens_the_account_that_has_it(self, people: People) -> None:
        joined = await people.world.join("Anna@Example.com")
        signed_in = await people.sign_in("second")
        assert (await people.world.actor(signed_in)).account_id == (
            await people.world.actor(joined)
        ).account_id
        assert await people.linked(joined) == [people.there.subject]
        await people.world.sign_in_as(ANNA)

    async def test_an_address_that_the_provider_did_not_verify_opens_nothing(self, people: People) -> None:
        await people.world.join(ANNA)
        people.there.email_verified = False
        with pytest.raises(IdentityUnknown):
            await people.sign_in()
        people.there.email_verified, people.there.email = True, None
        with pytest.raises(IdentityUnknown):
            await people.sign_in()

    async def test_nor_one_of_a_provider_that_is_not_believed(self, people: People) -> None:
        joined = await people.world.join(ANNA)
        people.set_up(trusts_email=False)
        with pytest.raises(IdentityUnknown):
            await people.sign_in()
        await people.link(joined)
        assert await people.email(await people.sign_in("second")) == ANNA

    async def test_an_address_that_no_mail_reaches_makes_no_account(self, people: People) -> None:
        people.there.email = "no address"
        with pytest.raises(IdentityUnknown):
            await people.sign_in()

    async def test_the_account_stays_when_the_address_changes(self, people: People) -> None:
        first = await people.sign_in()
        people.there.email = "anna.new@example.com"
        again = await people.sign_in("second")
        assert await people.email(again) == ANNA
        actor = await people.world.actor(first)
        (identity,) = await people.world.through_providers.list(actor)
        assert identity.email == "anna.new@example.com"

    async def test_somebody_else_at_the_provider_is_somebody_else(self, people: People) -> None:
        await people.sign_in()
        people.there.subject, people.there.email = "another", "mikhail@example.com"
        assert await people.email(await people.sign_in("second")) == "mikhail@example.com"

    async def test_nor_is_who_got_the_address_of_somebody_who_left(self, people: People) -> None:
        first = await people.sign_in()
        people.there.subject, former = "successor", people.there.subject
        with pytest.raises(IdentityUnknown):
            await people.sign_in("second")
        assert await people.linked(first) == [former]
        await people.world.choose(first, PASSWORD)
        await people.link(first)
        assert await people.email(await people.sign_in("second")) == ANNA

    async def test_the_same_name_at_another_provider_is_somebody_else(self, people: People) -> None:
        await people.sign_in()
        with IdentityProvider(subject=people.there.subject).running() as other:
            other.now = people.there.now
            people.there = other
            people.set_up(trusts_email=False)
            with pytest.raises(IdentityUnknown):
                await people.sign_in("second")

    async def test_a_password_of_a_stranger_who_took_the_address_is_not_activated(
        self, people: People
    ) -> None:
        await people.world.sign_up_as(ANNA, "Strangers-Horse")
        token = await people.world.mailed_token()
        await people.sign_in()
        with pytest.raises(NotAuthenticated):
            await people.world.sign_in_as(ANNA, "Strangers-Horse")
        with pytest.raises(NotAuthenticated):
            await people.world.confirm(token)

    async def test_a_second_factor_is_asked_for(self, people: People) -> None:
        joined = await people.world.join(ANNA)
        actor = await people.world.actor(joined)
        made = await people.world.factors.set_up(actor, SetUpFactor(password=PASSWORD))
        secret = b32decode(made.shown)
        code = totp(secret, step_at(people.world.clock.now()))
        await people.world.factors.confirm(actor, ConfirmFactor(code=code))
        with pytest.raises(SecondFactorNeeded) as needed:
            await people.sign_in("second")
        people.world.clock.pass_by(seconds=30)
        code = totp(secret, step_at(people.world.clock.now()))
        finished = await people.world.accounts.finish_sign_in(
            FinishSignIn(pending_token=needed.value.pending_token, code=code)
        )
        assert await people.email(finished) == ANNA
        with pytest.raises(CodeWrong):  # linking takes one too
            await people.link(joined)

    async def test_who_is_kept_out_stays_out(self, people: People) -> None:
        first = await people.sign_in()
        actor = await people.world.actor(first)
        async with people.world.begin() as work:
            account = await work.accounts.lock(actor.account_id)
            account.disable(at=people.world.clock.now())
            await work.accounts.save(account)
        with pytest.raises(NotAuthenticated):
            await people.sign_in("second")

    async def test_the_owner_is_told_of_a_new_device(self, people: People) -> None:
        await people.world.join(ANNA)
        await people.sign_in("second")
        assert people.world.woken
        await people.world.workers.letters.once()
        subjects = [letter["Subject"] for letter in letters_in(people.world.mail)]
        assert "Вход с нового устройства · A new device signed in" in subjects

    async def test_a_closed_account_frees_the_identity(self, people: People) -> None:
        joined = await people.world.join(ANNA)
        await people.sign_in("second")
        await people.world.close(joined)
        again = await people.sign_in("third")
        actor = await people.world.actor(again)
        assert actor.email == ANNA
        assert await people.linked(again) == [people.there.subject]

    async def test_two_at_once_make_one_account(self, people: People) -> None:
        visits = [await people.come_back(await people.leave(device)) for device in ("first", "second")]
        both = await asyncio.gather(*(people.finish(visit) for visit in visits))
        actors = [await people.world.actor(each) for each in both]
        assert actors[0].account_id == actors[1].account_id


class TestVisits:
    async def test_a_visit_is_used_once(self, people: People) -> None:
        people.there.forget_use = True  # the provider would exchange its code again
        visit = await people.come_back(await people.leave())
        await people.finish(visit)
        with pytest.raises(NotAuthenticated):
            await people.finish(visit)

    async def test_and_once_also_at_the_same_time(self, people: People) -> None:
        people.there.forget_use = True
        visit = await people.come_back(await people.leave())
        both = await asyncio.gather(*(people.finish(visit) for _ in range(4)), return_exceptions=True)
        assert sum(isinstance(each, SignedIn) for each in both) == 1
        assert people.there.requests.count("/token") == 1

    async def test_and_also_if_the_provider_failed(self, people: People) -> None:
        people.there.raw["/token"] = lambda to: to.answer(503, {})
        visit = await people.come_back(await people.leave())
        with pytest.raises(ProviderUnavailable):
            await people.finish(visit)
        people.there.raw.clear()
        with pytest.raises(NotAuthenticated):
            await people.finish(visit)

    async def test_coming_back_twice_does_no_harm(self, people: People) -> None:
        departure = await people.leave()
        back = people.there.visit(departure.url)
        query = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
        command = ComeBack(
            provider="example",
            visit=departure.visit,
            state=query["state"],
            code=query["code"],
            issuer=query["iss"],
        )
        first = await people.world.through_providers.come_back(command)
        second = await people.world.through_providers.come_back(command)
        assert "/token" not in people.there.requests
        await people.finish(second.visit)
        with pytest.raises(NotAuthenticated):
            await people.finish(first.visit)

    async def test_only_the_browser_that_left_comes_back(self, people: People) -> None:
        """Somebody else's way back, offered to this browser, would sign it in as somebody else."""
        mine, others = await people.leave(), await people.leave()
        back = parse_qs(urlsplit(people.there.visit(others.url)).query)
        for visit, state in ((mine.visit, back["state"][0]), ("", back["state"][0]), (mine.visit, "")):
            with pytest.raises(NotAuthenticated):
                await people.come_back(others, visit=visit, state=state, code=back["code"][0])

    async def test_nor_to_another_provider(self, people: People) -> None:
        with pytest.raises(NotAuthenticated):
            await people.come_back(await people.leave(), provider="other")

    async def test_a_code_of_another_visit_is_refused(self, people: People) -> None:
        """The provider has another nonce and another verifier with it."""
        mine, others = await people.leave(), await people.leave()
        code = parse_qs(urlsplit(people.there.visit(others.url)).query)["code"][0]
        with pytest.raises(ProviderRefused):
            await people.finish(await people.come_back(mine, code=code))

    @pytest.mark.parametrize("code", [None, "", "x" * 2049])
    async def test_somebody_who_was_not_signed_in_there(self, people: People, code: str | None) -> None:
        with pytest.raises(ProviderRefused):
            await people.come_back(await people.leave(), code=code)

    async def test_a_visit_does_not_last(self, people: People) -> None:
        departure = await people.leave()
        visit = await people.come_back(departure)
        people.world.clock.pass_by(minutes=10)
        with pytest.raises(NotAuthenticated):
            await people.finish(visit)
        with pytest.raises(NotAuthenticated):
            await people.come_back(departure)

    async def test_nobody_finishes_before_coming_back(self, people: People) -> None:
        with pytest.raises(NotAuthenticated):
            await people.finish((await people.leave()).visit)

    @pytest.mark.parametrize("visit", ["", "nonsense", "Ж", "a" * 5000, "AAAA" * 20])
    async def test_what_is_no_visit(self, people: People, visit: str) -> None:
        with pytest.raises(NotAuthenticated):
            await people.finish(visit)

    async def test_providers_that_there_are_not(self, people: People) -> None:
        visit = await people.come_back(await people.leave())
        people.world.providers = OidcProviders([])
        people.world.through_providers = people.world.providers_over(people.world._ports())
        with pytest.raises(ProviderNotFound):
            await people.finish(visit)
        with pytest.raises(ProviderNotFound):
            await people.leave()

    async def test_a_network_begins_so_often(self, people: People) -> None:
        begun = 0
        try:
            while begun < 100_000:
                await people.leave(address="203.0.113.7")
                begun += 1
        except TooManyRequests:
            pass
        assert begun == Auth().begun_sign_ins
        await people.leave(address="203.0.113.8")


class TestLinking:
    async def test_from_linking_to_unlinking(self, people: People) -> None:
        joined = await people.world.join("olga@example.com")
        identity_id = await people.link(joined)
        signed_in = await people.sign_in("second")
        assert await people.email(signed_in) == "olga@example.com"
        await people.unlink(joined, identity_id)
        assert await people.linked(joined) == []
        assert {SecurityAct.IDENTITY_LINKED, SecurityAct.IDENTITY_UNLINKED} <= set(await people.acts(joined))
        while await people.world.workers.letters.once():
            pass
        subjects = {letter["Subject"] for letter in letters_in(people.world.mail)}
        assert {SUBJECTS[Template.IDENTITY_LINKED], SUBJECTS[Template.IDENTITY_UNLINKED]} <= subjects
        assert await people.email(await people.sign_in("third")) == ANNA  # somebody new now

    async def test_it_takes_the_password(self, people: People) -> None:
        joined = await people.world.join("olga@example.com")
        with pytest.raises(PasswordWrong):
            await people.link(joined, password="Wrong-Horse")
        identity_id = await people.link(joined)
        with pytest.raises(PasswordWrong):
            await people.unlink(joined, identity_id, password="Wrong-Horse")
        assert await people.linked(joined) == [people.there.subject]

    async def test_an_identity_is_of_one_account(self, people: People) -> None:
        await people.sign_in()
        olga = await people.world.join("olga@example.com")
        with pytest.raises(IdentityTaken):
            await people.link(olga)
        assert await people.linked(olga) == []

    async def test_of_two_that_link_at_once_one_does(self, people: People) -> None:
        visits = []
        for name in ("olga@example.com", "mikhail@example.com"):
            actor = await people.world.actor(await people.world.join(name))
            departure = await people.world.through_providers.begin_link(
                actor, BeginLink(provider="example", password=PASSWORD)
            )
            visits.append((actor, FinishLink(visit=await people.come_back(departure))))
        both = await asyncio.gather(
            *(people.world.through_providers.finish_link(*each) for each in visits), return_exceptions=True
        )
        assert sorted(type(each).__name__ for each in both) == ["Identity", "IdentityTaken"]

    async def test_a_visit_to_link_does_not_sign_in(self, people: People) -> None:
        joined = await people.world.join("olga@example.com")
        actor = await people.world.actor(joined)
        departure = await people.world.through_providers.begin_link(
            actor, BeginLink(provider="example", password=PASSWORD)
        )
        visit = await people.come_back(departure)
        with pytest.raises(NotAuthenticated):
            await people.finish(visit)
        for other in (
            await people.world.sign_in_as("olga@example.com", device="second"),
            await people.world.join("mikhail@example.com"),
        ):
            stranger = await people.world.actor(other)
            with pytest.raises(NotAuthenticated):
                await people.world.through_providers.finish_link(stranger, FinishLink(visit=visit))

    async def test_nor_one_to_sign_in_link(self, people: People) -> None:
        joined = await people.world.join("olga@example.com")
        visit = await people.come_back(await people.leave())
        with pytest.raises(NotAuthenticated):
            await people.world.through_providers.finish_link(
                await people.world.actor(joined), FinishLink(visit=visit)
            )

    async def test_others_identities_are_not_found(self, people: People) -> None:
        await people.sign_in()
        actor = await people.world.actor(await people.sign_in())
        (identity,) = await people.world.through_providers.list(actor)
        olga = await people.world.join("olga@example.com")
        with pytest.raises(IdentityNotFound):
            await people.unlink(olga, identity.id)
