"""
Checks of sign-ins without a password that are taken away, one at a time, beside a test that finds each, as in
`test_security_mutants`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import webauthn
from attrs import evolve
from authlib.oidc.core import CodeIDToken
from joserfc import jws
from joserfc.jwk import KeySet

from application.accounts import passkey_sign_in, visits
from application.accounts import ways as ways_of_accounts
from application.accounts.passkeys import AskDevice
from application.accounts.provider_sign_in import FinishProviderSignInHandler
from application.accounts.step_up import StepUp
from application.accounts.visits import ComeBackHandler
from config.adapters import memory_storage
from domain.passkey import Passkey
from infrastructure.memory.storage import MemoryStorage
from infrastructure.oidc import provider as oidc
from tests.accounts_world import accounts_world
from tests.authenticator import encoded
from tests.contracts import test_passkeys as passkeys
from tests.contracts import test_providers as providers
from tests.identity_provider import IdentityProvider
from tests.infrastructure.oidc import test_provider as lies

Patch = pytest.MonkeyPatch
Scene = tuple[passkeys.People, providers.People]


def _without(**checks: Any) -> Callable[[Patch], None]:
    """Makes a mutant that checks the claims of a statement less."""

    def mutate(patch: Patch) -> None:
        init = CodeIDToken.__init__

        def careless(self: Any, claims: Any, header: Any, options: Any, params: Any) -> None:
            kept = {name: value for name, value in options.items() if name not in checks}
            init(self, claims, header, kept, params)

        patch.setattr(CodeIDToken, "__init__", careless)

    return mutate


def _no_nonce(patch: Patch) -> None:
    patch.setattr(CodeIDToken, "validate_nonce", lambda _: None)


def _no_party(patch: Patch) -> None:
    patch.setattr(CodeIDToken, "validate_azp", lambda _: None)


def _any_audience(patch: Patch) -> None:
    """The party is a second look at the audience, which would find most of what the first one misses."""
    _no_party(patch)
    _without(aud=...)(patch)


def _no_age(patch: Patch) -> None:
    patch.setattr(oidc, "OLDEST", timedelta(days=1))


def _no_signature(patch: Patch) -> None:
    patch.setattr(jws, "deserialize_compact", lambda text, _, registry: jws.extract_compact(text.encode()))


def _any_key(patch: Patch) -> None:
    """Accepts signatures by secrets, one of which a provider publishes."""
    patch.setattr(oidc, "ALGORITHMS", (*oidc.ALGORITHMS, "HS256"))
    load = KeySet.import_key_set

    def careless(keys: Any) -> Any:
        return load({"keys": [*keys["keys"], {"kty": "oct", "kid": "open", "k": encoded(b"k" * 32)}]})

    patch.setattr(KeySet, "import_key_set", careless)


def _any_return(patch: Patch) -> None:
    call = ComeBackHandler.__call__

    async def careless(self: ComeBackHandler, command: Any) -> Any:
        visit = self.seals.open_visit(command.visit, at=self.clock.now())
        return await call(self, evolve(command, state=visit.state, provider=visit.provider))

    patch.setattr(ComeBackHandler, "__call__", careless)


def _visits_again(patch: Patch) -> None:
    patch.setattr(visits, "use_once", _nothing)


def _any_address(patch: Patch) -> None:
    by_address = FinishProviderSignInHandler._by_address

    async def careless(self: Any, work: Any, proven: Any, provider: Any) -> Any:
        return await by_address(self, work, evolve(proven, email_is_verified=True), provider)

    patch.setattr(FinishProviderSignInHandler, "_by_address", careless)


def _no_trust(patch: Patch) -> None:
    by_address = FinishProviderSignInHandler._by_address

    async def careless(self: Any, work: Any, proven: Any, provider: Any) -> Any:
        return await by_address(self, work, proven, evolve(provider, trusts_email=True))

    patch.setattr(FinishProviderSignInHandler, "_by_address", careless)


def _no_count(patch: Patch) -> None:
    def careless(self: Passkey, uses: int, *, is_backed_up: bool, at: Any) -> None:
        self.uses, self.is_backed_up, self.last_used_at = uses, is_backed_up, at

    patch.setattr(Passkey, "use", careless)


def _verifying(**less: Any) -> Callable[[Patch], None]:
    """Makes a mutant that asks the library to verify less."""

    def mutate(patch: Patch) -> None:
        for name in ("verify_registration_response", "verify_authentication_response"):
            verify = getattr(webauthn, name)

            def careless(verify: Any = verify, **asked: Any) -> Any:
                return verify(**asked | less)

            patch.setattr(webauthn, name, careless)

    return mutate


def _challenges_again(patch: Patch) -> None:
    patch.setattr(passkey_sign_in, "use_once", _nothing)


def _any_purpose(patch: Patch) -> None:
    def careless(self: AskDevice, token: str, *_: Any) -> Any:
        return self.seals.open_challenge(token, at=self.clock.now())

    patch.setattr(AskDevice, "open", careless)


def _any_proof(patch: Patch) -> None:
    async def careless(self: StepUp, _: Any, __: Any, text: str) -> None:
        self.seals.open_proof(text, at=self.clock.now())

    patch.setattr(StepUp, "_use_proof", careless)


def _no_last_way(patch: Patch) -> None:
    patch.setattr(ways_of_accounts, "refuse_losing_last_way", lambda **_: None)


async def _nothing(*_: Any, **__: Any) -> None:
    """Replaces a check."""


def _lie(name: str) -> Callable[[Scene], Awaitable[None]]:
    return lambda scene: lies.TestLies().test_a_wrong_claim_is_not_believed(scene[1].there, name)


def _of_lies(name: str, *more: Any) -> Callable[[Scene], Awaitable[None]]:
    return lambda scene: getattr(lies.TestLies(), name)(scene[1].there, *more)


def _of_visits(name: str) -> Callable[[Scene], Awaitable[None]]:
    return lambda scene: getattr(providers.TestVisits(), name)(scene[1])


def _of_sign_ins(name: str) -> Callable[[Scene], Awaitable[None]]:
    return lambda scene: getattr(providers.TestSigningIn(), name)(scene[1])


def _of_passkeys(part: type, name: str, *more: Any) -> Callable[[Scene], Awaitable[None]]:
    return lambda scene: getattr(part(), name)(scene[0], *more)


ANSWERS = passkeys.TestAnswersThatAreNotBelieved

MUTANTS: dict[str, tuple[Callable[[Patch], None], Callable[[Scene], Awaitable[None]]]] = {
    "no nonce": (_no_nonce, _of_lies("test_the_nonce_is_of_this_visit")),
    "any audience": (_any_audience, _lie("another audience")),
    "any issuer": (_without(iss=...), _lie("another issuer")),
    "any party": (_no_party, _lie("another party")),
    "any age": (_no_age, _lie("long ago")),
    "no signature": (_no_signature, _of_lies("test_signed_by_another_key_of_the_same_name")),
    "unsigned": (_no_signature, _of_lies("test_unsigned")),
    "a secret that is published": (_any_key, _of_lies("test_signed_by_a_secret_that_it_publishes")),
    "a state that is not compared": (_any_return, _of_visits("test_only_the_browser_that_left_comes_back")),
    "visits that are used again": (_visits_again, _of_visits("test_a_visit_is_used_once")),
    "an address that nobody verified": (
        _any_address,
        _of_sign_ins("test_an_address_that_the_provider_did_not_verify_opens_nothing"),
    ),
    "a provider that is not believed": (
        _no_trust,
        _of_sign_ins("test_nor_one_of_a_provider_that_is_not_believed"),
    ),
    "a counter that is not compared": (
        _no_count,
        _of_passkeys(passkeys.TestCopies, "test_a_copy_is_noticed"),
    ),
    "a person who is not verified": (
        _verifying(require_user_verification=False),
        _of_passkeys(ANSWERS, "test_when_signing_in", "without verifying the person"),
    ),
    "a page of another address": (
        _verifying(expected_origin=["https://chat.example", "https://chat.example.evil.example"]),
        _of_passkeys(ANSWERS, "test_when_adding", "of a page of another address"),
    ),
    "challenges that are used again": (
        _challenges_again,
        _of_passkeys(passkeys.TestChallenges, "test_one_is_answered_once"),
    ),
    "challenges for something else": (
        _any_purpose,
        _of_passkeys(passkeys.TestChallenges, "test_one_for_something_else"),
    ),
    "proofs of another session": (
        _any_proof,
        _of_passkeys(passkeys.TestProofs, "test_one_is_of_its_session_and_time"),
    ),
    "the last way in": (
        _no_last_way,
        _of_passkeys(passkeys.TestTheLastWayIn, "test_a_passkey_stays_if_it_is_the_last"),
    ),
}


@pytest.fixture(scope="module")
def there() -> Iterator[IdentityProvider]:
    with IdentityProvider().running() as provider:
        yield provider


@pytest.fixture
async def scenes(there: IdentityProvider, tmp_path: Path) -> AsyncIterator[Callable[[], Scene]]:
    worlds = []
    async with (
        accounts_world(memory_storage(MemoryStorage()), tmp_path / "one") as first,
        accounts_world(memory_storage(MemoryStorage()), tmp_path / "two") as second,
    ):
        worlds += [first, second]

        def scene() -> Scene:
            world = worlds.pop(0)
            fresh = IdentityProvider()
            for name in ("change_claims", "change_header", "change_metadata", "change_keys", "change_token"):
                setattr(there, name, getattr(fresh, name))
            there.signing, there.secret, there.published = None, b"", []
            there.forget_use, there.email, there.email_verified = False, fresh.email, True
            there.now = lambda: world.clock.now().timestamp()
            people = providers.People(world, there)
            people.set_up()
            return passkeys.People(world), people

        yield scene


@pytest.mark.parametrize("name", MUTANTS)
async def test_a_check_that_is_taken_away_is_found(
    scenes: Callable[[], Scene], monkeypatch: Patch, name: str
) -> None:
    mutate, check = MUTANTS[name]
    await check(scenes())
    mutate(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await check(scenes())
