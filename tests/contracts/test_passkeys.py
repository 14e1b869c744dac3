"""Passkeys from the first to the last one, told as histories, on every storage."""

import asyncio
import json
from base64 import b32decode
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import define, evolve

from application.accounts.close import CloseAccount
from application.accounts.factors import ConfirmFactor, ProveBoth, SetUpFactor
from application.accounts.identities import Unlink
from application.accounts.passkey_sign_in import BeginPasskeySignIn, PasskeySignIn
from application.accounts.passkeys import (
    AddPasskey,
    BeginPasskey,
    Prove,
    RemovePasskey,
    RenamePasskey,
)
from application.accounts.set_password import SetPassword
from application.accounts.signed_in import SignedIn
from application.actor import Actor
from application.errors import NotAuthenticated
from application.paging import Paging
from application.ports.authenticators import Json
from application.ports.limiter import TooManyRequests
from config.features.accounts import passkey_use_cases
from config.settings.groups import Auth
from domain.account import Password, PasswordWrong
from domain.factor import CodeWrong, step_at
from domain.identity import Identity, LastWayIn, Subject
from domain.ids import PasskeyId
from domain.passkey import (
    Passkey,
    PasskeyCopied,
    PasskeyName,
    PasskeyNotFound,
    PasskeyRefused,
    PasskeysUnavailable,
    PasskeyTaken,
    ProofUnfit,
    TooManyPasskeys,
)
from domain.security import SecurityAct
from domain.session import Fingerprint, Origin
from infrastructure.crypto.codes import totp
from tests.accounts_world import PASSWORD, AccountsWorld, accounts_world, letters_in
from tests.authenticator import BACKED_UP, PRESENT, VERIFIED, Authenticator, Held, encoded
from tests.known_providers import KnownProviders
from tests.storages import SharedStorage

ANNA, OLGA = "anna@example.com", "olga@example.com"


@define
class People:
    world: AccountsWorld

    async def actor(self, signed_in: SignedIn) -> Actor:
        return await self.world.actor(signed_in)

    async def add(
        self, signed_in: SignedIn, device: Authenticator, name: str = "My phone", **proof: Any
    ) -> Passkey:
        actor = await self.actor(signed_in)
        begun = await self.world.passkeys.begin(actor, BeginPasskey(**proof or {"password": PASSWORD}))
        command = AddPasskey(
            token=begun.token, credential=device.make(_sent(begun.options)), name=PasskeyName(name)
        )
        return await self.world.passkeys.add(actor, command)

    async def begin(self, **origin: str) -> tuple[Any, str]:
        begun = await self.world.passkeys.begin_sign_in(BeginPasskeySignIn(origin=Origin(**origin)))
        return _sent(begun.options), begun.token

    async def finish(self, token: str, credential: Any, name: str = "second") -> SignedIn:
        command = PasskeySignIn(token=token, credential=credential, fingerprint=Fingerprint(name))
        return await self.world.passkeys.sign_in(command)

    async def sign_in(
        self, device: Authenticator, held: Held | None = None, name: str = "second"
    ) -> SignedIn:
        options, token = await self.begin()
        return await self.finish(token, device.use(options, held), name)

    async def prove(self, signed_in: SignedIn, device: Authenticator) -> str:
        actor = await self.actor(signed_in)
        begun = await self.world.passkeys.begin_proof(actor)
        command = Prove(token=begun.token, credential=device.use(_sent(begun.options)))
        return (await self.world.passkeys.prove(actor, command)).proof

    async def remove(self, signed_in: SignedIn, id: PasskeyId, **proof: Any) -> None:
        actor = await self.actor(signed_in)
        command = RemovePasskey(passkey_id=id, **proof or {"password": PASSWORD})
        await self.world.passkeys.remove(actor, command)

    async def names(self, signed_in: SignedIn) -> list[str]:
        actor = await self.actor(signed_in)
        return [each.name.text for each in await self.world.passkeys.list(actor)]

    async def acts(self, signed_in: SignedIn) -> list[SecurityAct]:
        actor = await self.actor(signed_in)
        return [each.act for each in (await self.world.sessions.events(actor, Paging())).items]

    async def forget_password(self, signed_in: SignedIn) -> None:
        """Takes the password away, so that the account is like that of somebody who came from a provider."""
        actor = await self.actor(signed_in)
        async with self.world.begin() as work:
            account = await work.accounts.lock(actor.account_id)
            account.password_hash = None
            await work.accounts.save(account)


def _sent(options: Any) -> Any:
    """Returns the options in the form in which a browser gets them."""
    return json.loads(json.dumps(options))


@pytest.fixture
async def people(storage: SharedStorage, tmp_path: Path) -> AsyncIterator[People]:
    async with accounts_world(storage, tmp_path / "mail") as world:
        yield People(world)


class TestFromTheFirstToTheLast:
    async def test_it_signs_in_by_itself(self, people: People) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        passkey = await people.add(anna, device)
        assert (passkey.name.text, passkey.last_used_at, passkey.is_backed_up) == ("My phone", None, False)
        signed_in = await people.sign_in(device)
        actor = await people.actor(signed_in)
        assert (actor.email, actor.account_id) == (ANNA, passkey.account_id)
        (used,) = await people.world.passkeys.list(actor)
        assert used.last_used_at == people.world.clock.now()
        assert {SecurityAct.PASSKEY_ADDED, SecurityAct.SIGNED_IN} <= set(await people.acts(anna))
        await people.world.workers.letters.once()
        subjects = [letter["Subject"] for letter in letters_in(people.world.mail)]
        assert "Вход с нового устройства · A new device signed in" in subjects

    async def test_renamed_and_removed(self, people: People) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        first = await people.add(anna, device)
        await people.add(anna, Authenticator(), "My laptop")
        actor = await people.actor(anna)
        await people.world.passkeys.rename(
            actor, RenamePasskey(passkey_id=first.id, name=PasskeyName("My old phone"))
        )
        assert await people.names(anna) == ["My old phone", "My laptop"]
        await people.remove(anna, first.id)
        assert await people.names(anna) == ["My laptop"]
        assert SecurityAct.PASSKEY_REMOVED in await people.acts(anna)
        with pytest.raises(NotAuthenticated):
            await people.sign_in(device)
        with pytest.raises(PasskeyNotFound):
            await people.remove(anna, first.id)

    async def test_others_passkeys_are_not_found(self, people: People) -> None:
        anna, olga = await people.world.join(ANNA), await people.world.join(OLGA)
        passkey = await people.add(anna, Authenticator())
        with pytest.raises(PasskeyNotFound):
            await people.remove(olga, passkey.id)
        with pytest.raises(PasskeyNotFound):
            await people.world.passkeys.rename(
                await people.actor(olga), RenamePasskey(passkey_id=passkey.id, name=PasskeyName("Mine"))
            )
        assert await people.names(anna) == ["My phone"]

    async def test_an_account_has_so_many(self, people: People) -> None:
        anna = await people.world.join(ANNA)
        for _ in range(3):
            await people.add(anna, Authenticator())
        with pytest.raises(TooManyPasskeys):
            await people.add(anna, Authenticator())

    async def test_and_so_many_also_at_once(self, people: People) -> None:
        anna = await people.world.join(ANNA)
        actor = await people.actor(anna)
        begun = [await people.world.passkeys.begin(actor, BeginPasskey(password=PASSWORD)) for _ in range(5)]
        commands = [
            AddPasskey(
                token=each.token,
                credential=Authenticator().make(_sent(each.options)),
                name=PasskeyName("One"),
            )
            for each in begun
        ]
        added = await asyncio.gather(
            *(people.world.passkeys.add(actor, each) for each in commands), return_exceptions=True
        )
        assert sorted(type(each).__name__ for each in added) == ["Passkey"] * 3 + ["TooManyPasskeys"] * 2

    async def test_a_closed_account_has_none(self, people: People) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        await people.add(anna, device)
        await people.world.close(anna)
        with pytest.raises(NotAuthenticated):
            await people.sign_in(device)

    async def test_who_is_kept_out_stays_out(self, people: People) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        passkey = await people.add(anna, device)
        async with people.world.begin() as work:
            account = await work.accounts.lock(passkey.account_id)
            account.disable(at=people.world.clock.now())
            await work.accounts.save(account)
        with pytest.raises(NotAuthenticated):
            await people.sign_in(device)

    async def test_where_there_are_none(self, people: People) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        await people.add(anna, device)
        options, token = await people.begin()
        world = people.world
        world.rules = world._rules_with(passkeys=0)
        world.passkeys = passkey_use_cases(
            world.ports, world.rules, limits=world._limits(world.ports), letter_is_due=lambda: None
        )
        with pytest.raises(PasskeysUnavailable):
            await people.finish(token, device.use(options))
        with pytest.raises(PasskeysUnavailable):
            await people.begin()
        with pytest.raises(PasskeysUnavailable):
            await people.add(anna, Authenticator())

    async def test_a_network_begins_so_often(self, people: People) -> None:
        begun = 0
        try:
            while begun < 100_000:
                await people.begin(address="203.0.113.7")
                begun += 1
        except TooManyRequests:
            pass
        assert begun == Auth().begun_sign_ins
        await people.begin(address="203.0.113.8")


WRONG_USES: dict[str, Any] = {
    "of a page of another address": {"origin": "https://chat.example.evil.example"},
    "of a page without encryption": {"origin": "http://chat.example"},
    "of another port": {"origin": "https://chat.example:8443"},
    "of another party": {"rp_id": "example"},
    "without verifying the person": {"flags": PRESENT},
    "without a person": {"flags": VERIFIED},
    "of another challenge": {"change_client_data": lambda data: data | {"challenge": encoded(b"another")}},
    "of another kind": {"change_client_data": lambda data: data | {"type": "payment.get"}},
    "that is no object": {"change_client_data": lambda _: ["webauthn.get"]},
    "without its parts": {"change_client_data": lambda _: {}},
}


def with_response(answer: Json, **parts: Any) -> Json:
    return {**answer, "response": {**answer["response"], **parts}}


MALFORMED: Final[Sequence[Callable[[Json], Json]]] = [
    lambda _: {},
    lambda answer: {**answer, "id": "another"},
    lambda answer: {**answer, "rawId": 7},
    lambda answer: {**answer, "type": "password"},
    lambda answer: {**answer, "response": None},
    lambda answer: {**answer, "response": {}},
    lambda answer: with_response(answer, clientDataJSON="=ж="),
    lambda answer: with_response(answer, clientDataJSON=encoded(b"[")),
]
"""Answers that no browser gives, whether a passkey was made or used."""


class TestAnswersThatAreNotBelieved:
    @pytest.mark.parametrize("how", WRONG_USES)
    async def test_when_signing_in(self, people: People, how: str) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        await people.add(anna, device)
        wrong = Authenticator(held=device.held, **WRONG_USES[how])
        with pytest.raises(NotAuthenticated):
            await people.sign_in(wrong)
        await people.sign_in(device)

    @pytest.mark.parametrize("how", WRONG_USES)
    async def test_when_adding(self, people: People, how: str) -> None:
        anna = await people.world.join(ANNA)
        with pytest.raises(PasskeyRefused):
            await people.add(anna, Authenticator(**WRONG_USES[how]))
        assert await people.names(anna) == []

    @pytest.mark.parametrize("how", ["without verifying the person", "of a page of another address"])
    async def test_when_proving(self, people: People, how: str) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        await people.add(anna, device)
        with pytest.raises(PasskeyRefused):
            await people.prove(anna, Authenticator(held=device.held, **WRONG_USES[how]))

    @pytest.mark.parametrize(
        "format", ["packed", "tpm", "android-safetynet", "apple", "fido-u2f", "unknown", ""]
    )
    async def test_statements_about_the_device(self, people: People, format: str) -> None:
        anna = await people.world.join(ANNA)
        with pytest.raises(PasskeyRefused):
            await people.add(anna, Authenticator(format=format))

    async def test_signed_by_another_key(self, people: People) -> None:
        anna, device, other = await people.world.join(ANNA), Authenticator(), Authenticator()
        await people.add(anna, device)
        await people.add(await people.world.join(OLGA), other)
        forged = Held(device.held[0].id, other.held[0].key, device.held[0].handle, uses=7)
        with pytest.raises(NotAuthenticated):
            await people.sign_in(other, forged)

    async def test_of_somebody_else(self, people: People) -> None:
        """The handle names the account, and is not signed: a passkey opens no other account than its own."""
        anna, device, other = await people.world.join(ANNA), Authenticator(), Authenticator()
        passkey = await people.add(anna, device)
        await people.add(await people.world.join(OLGA), other)
        held = other.held[0]
        with pytest.raises(NotAuthenticated):
            await people.sign_in(other, Held(held.id, held.key, passkey.account_id.bytes, uses=7))

    async def test_of_somebody_who_is_kept_out(self, people: People) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        await people.add(anna, device)
        actor = await people.actor(anna)
        async with people.world.begin() as work:
            account = await work.accounts.lock(actor.account_id)
            account.disable(at=people.world.clock.now())
            await work.accounts.save(account)
        with pytest.raises(NotAuthenticated):
            await people.sign_in(device)

    async def test_of_an_account_that_was_closed(self, people: People) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        await people.add(anna, device)
        await people.world.close(anna)
        with pytest.raises(NotAuthenticated):
            await people.sign_in(device)

    @pytest.mark.parametrize("handle", [b"", b"x", b"0" * 16, b"0" * 64])
    async def test_of_nobody(self, people: People, handle: bytes) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        await people.add(anna, device)
        held = device.held[0]
        with pytest.raises(NotAuthenticated):
            await people.sign_in(device, Held(held.id, held.key, handle))

    @pytest.mark.parametrize(
        "change",
        [
            *MALFORMED,
            lambda answer: with_response(answer, authenticatorData=encoded(b"short")),
            lambda answer: with_response(answer, authenticatorData=None),
            lambda answer: with_response(answer, signature=encoded(b"no signature")),
            lambda answer: with_response(answer, signature=encoded(b"")),
            lambda answer: with_response(answer, userHandle=7),
            lambda answer: with_response(answer, userHandle=encoded(b"")),
        ],
    )
    async def test_what_no_device_says(self, people: People, change: Any) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        await people.add(anna, device)
        with pytest.raises(NotAuthenticated):
            await people.sign_in(Authenticator(held=list(device.held), change_answer=change))

    @pytest.mark.parametrize(
        "change",
        [
            *MALFORMED,
            lambda answer: with_response(answer, attestationObject=None),
            lambda answer: with_response(answer, attestationObject=encoded(b"\xff")),
            lambda answer: with_response(answer, attestationObject=encoded(b"\xa0")),
            lambda answer: with_response(answer, attestationObject=encoded(b"\x9f" * 3000)),
        ],
    )
    async def test_what_no_device_says_of_a_new_one(self, people: People, change: Any) -> None:
        anna = await people.world.join(ANNA)
        with pytest.raises(PasskeyRefused):
            await people.add(anna, Authenticator(change_answer=change))


class TestCopies:
    async def test_a_copy_is_noticed(self, people: People) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        await people.add(anna, device)
        copy = Held(device.held[0].id, device.held[0].key, device.held[0].handle)
        await people.sign_in(device)
        await people.sign_in(device)
        with pytest.raises(PasskeyCopied):
            await people.sign_in(device, copy)
        assert SecurityAct.PASSKEY_COPIED in await people.acts(anna)
        await people.sign_in(device)
        with pytest.raises(PasskeyCopied):
            await people.prove(anna, Authenticator(held=[copy]))

    async def test_devices_that_do_not_count(self, people: People) -> None:
        anna = await people.world.join(ANNA)
        device = Authenticator(counts=False, flags=PRESENT | VERIFIED | BACKED_UP)
        assert (await people.add(anna, device)).is_backed_up
        for _ in range(3):
            await people.sign_in(device)

    async def test_one_that_stops_counting_is_a_copy(self, people: People) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        await people.add(anna, device)
        await people.sign_in(device)
        device.counts, device.held[0].uses = False, 0
        with pytest.raises(PasskeyCopied):
            await people.sign_in(device)


class TestChallenges:
    async def test_one_is_answered_once(self, people: People) -> None:
        anna, device = await people.world.join(ANNA), Authenticator(counts=False)
        await people.add(anna, device)
        options, token = await people.begin()
        answer = device.use(options)
        await people.finish(token, answer)
        with pytest.raises(NotAuthenticated):
            await people.finish(token, answer)

    async def test_and_once_also_at_the_same_time(self, people: People) -> None:
        anna, device = await people.world.join(ANNA), Authenticator(counts=False)
        await people.add(anna, device)
        options, token = await people.begin()
        answer = device.use(options)
        both = await asyncio.gather(
            *(people.finish(token, answer, f"{n}") for n in range(4)), return_exceptions=True
        )
        assert sum(isinstance(each, SignedIn) for each in both) == 1

    async def test_one_does_not_last(self, people: People) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        await people.add(anna, device)
        options, token = await people.begin()
        people.world.clock.pass_by(minutes=5)
        with pytest.raises(NotAuthenticated):
            await people.finish(token, device.use(options))

    async def test_one_for_something_else(self, people: People) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        await people.add(anna, device)
        actor = await people.actor(anna)
        begun = await people.world.passkeys.begin_proof(actor)
        with pytest.raises(NotAuthenticated):
            await people.finish(begun.token, device.use(_sent(begun.options)))
        options, token = await people.begin()
        with pytest.raises(NotAuthenticated):
            await people.world.passkeys.prove(actor, Prove(token=token, credential=device.use(options)))

    async def test_one_of_another_session(self, people: People) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        begun = await people.world.passkeys.begin(await people.actor(anna), BeginPasskey(password=PASSWORD))
        command = AddPasskey(
            token=begun.token, credential=device.make(_sent(begun.options)), name=PasskeyName("Mine")
        )
        other = await people.actor(await people.world.sign_in_as(ANNA, device="other"))
        with pytest.raises(NotAuthenticated):
            await people.world.passkeys.add(other, command)

    async def test_a_passkey_is_added_once(self, people: People) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        actor = await people.actor(anna)
        begun = [await people.world.passkeys.begin(actor, BeginPasskey(password=PASSWORD)) for _ in range(2)]
        first = AddPasskey(
            token=begun[0].token, credential=device.make(_sent(begun[0].options)), name=PasskeyName("Mine")
        )
        await people.world.passkeys.add(actor, first)
        with pytest.raises(NotAuthenticated):
            await people.world.passkeys.add(actor, first)
        again = device.make_again(_sent(begun[1].options))
        with pytest.raises(PasskeyTaken):
            await people.world.passkeys.add(
                actor, AddPasskey(token=begun[1].token, credential=again, name=PasskeyName("Again"))
            )
        assert await people.names(anna) == ["Mine"]


class TestProofs:
    async def test_in_place_of_the_password(self, people: People) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        await people.add(anna, device)
        await people.forget_password(anna)
        with pytest.raises(PasswordWrong):
            await people.add(anna, Authenticator())
        await people.add(anna, Authenticator(), proof=await people.prove(anna, device))
        actor = await people.actor(anna)
        await people.world.accounts.close(actor, CloseAccount(proof=await people.prove(anna, device)))
        with pytest.raises(NotAuthenticated):
            await people.actor(anna)

    async def test_in_place_of_a_code(self, people: People) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        await people.add(anna, device)
        actor = await people.actor(anna)
        made = await people.world.factors.set_up(actor, SetUpFactor(proof=await people.prove(anna, device)))
        code = totp(b32decode(made.shown), step_at(people.world.clock.now()))
        await people.world.factors.confirm(actor, ConfirmFactor(code=code))
        with pytest.raises(CodeWrong):
            await people.world.factors.turn_off(actor, ProveBoth(password=PASSWORD))
        await people.sign_in(device)  # a passkey is both proofs in one
        await people.world.factors.turn_off(actor, ProveBoth(proof=await people.prove(anna, device)))
        assert not (await people.world.factors.read(actor)).is_on

    async def test_in_place_of_the_old_password(self, people: People) -> None:
        world = people.world
        anna, device = await world.join(ANNA), Authenticator()
        await people.add(anna, device)
        await people.forget_password(anna)
        world.rules = evolve(world.rules, old_password_needed=True)
        world.accounts = world.accounts_over(world.ports)
        actor, proof = await people.actor(anna), await people.prove(anna, device)
        new = Password("Another-Horse1")
        for command in (
            SetPassword(password=new),
            SetPassword(password=new, proof=""),
            SetPassword(password=new, old_password=PASSWORD),
        ):
            with pytest.raises(PasswordWrong):
                await world.accounts.set_password(actor, command)
        with pytest.raises(ProofUnfit):
            await world.accounts.set_password(actor, SetPassword(password=new, proof="nonsense"))
        await world.accounts.set_password(actor, SetPassword(password=new, proof=proof))
        await world.sign_in_as(ANNA, device="other", password=new.text)
        with pytest.raises(ProofUnfit):
            await world.accounts.set_password(actor, SetPassword(password=new, proof=proof))

    async def test_one_is_good_once(self, people: People) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        await people.add(anna, device)
        proof = await people.prove(anna, device)
        await people.add(anna, Authenticator(), proof=proof)
        with pytest.raises(ProofUnfit):
            await people.add(anna, Authenticator(), proof=proof)

    async def test_one_is_of_its_session_and_time(self, people: People) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        await people.add(anna, device)
        proof = await people.prove(anna, device)
        for other in (
            await people.world.sign_in_as(ANNA, device="other"),
            await people.world.join(OLGA),
        ):
            with pytest.raises(ProofUnfit):
                await people.add(other, Authenticator(), proof=proof)
        people.world.clock.pass_by(minutes=5)
        with pytest.raises(ProofUnfit):
            await people.add(anna, Authenticator(), proof=proof)
        with pytest.raises(ProofUnfit):
            await people.add(anna, Authenticator(), proof="nonsense")

    async def test_without_a_passkey_there_is_none(self, people: People) -> None:
        anna = await people.world.join(ANNA)
        with pytest.raises(PasskeyNotFound):
            await people.prove(anna, Authenticator())


class TestTheLastWayIn:
    async def test_a_passkey_stays_if_it_is_the_last(self, people: People) -> None:
        anna, device = await people.world.join(ANNA), Authenticator()
        passkey = await people.add(anna, device)
        await people.forget_password(anna)
        with pytest.raises(LastWayIn):
            await people.remove(anna, passkey.id, proof=await people.prove(anna, device))
        other = await people.add(anna, Authenticator(), proof=await people.prove(anna, device))
        await people.remove(anna, passkey.id, proof=await people.prove(anna, device))
        assert await people.names(anna) == [other.name.text]

    async def test_and_so_does_an_identity(self, people: People) -> None:
        people.world.providers = KnownProviders()
        people.world.ports = people.world._ports()
        people.world.through_providers = people.world.providers_over(people.world.ports)
        anna, device = await people.world.join(ANNA), Authenticator()
        passkey = await people.add(anna, device)
        actor = await people.actor(anna)
        identity = Identity(
            id=people.world.ids.identity(),
            account_id=actor.account_id,
            subject=Subject("https://accounts.example", "1"),
            linked_at=people.world.clock.now(),
        )
        async with people.world.begin() as work:
            await work.identities.add(identity)
        await people.forget_password(anna)
        proof = await people.prove(anna, device)
        await people.world.through_providers.unlink(actor, Unlink(identity_id=identity.id, proof=proof))
        assert await people.world.through_providers.list(actor) == []
        with pytest.raises(LastWayIn):
            await people.remove(anna, passkey.id, proof=await people.prove(anna, device))
        async with people.world.begin() as work:
            await work.identities.add(identity)
            await work.passkeys.remove(passkey)
            account = await work.accounts.lock(actor.account_id)
            ways = people.world.ways()
            with pytest.raises(LastWayIn):
                await ways.refuse_losing_last(work, account, without=identity.id)
