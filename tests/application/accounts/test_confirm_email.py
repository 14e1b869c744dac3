from datetime import timedelta
from uuid import uuid4

import pytest

from application.errors import NotAuthenticated
from application.ports.tokens import ConfirmationToken, SessionToken, SessionTokenType
from domain.account import AlreadyConfirmed, Confirmation, Email, PasswordHash
from domain.ids import AccountId, ConfirmationId, SessionId
from infrastructure.crypto.tokens import JwtTokens
from tests.accounts_world import PASSWORD, AccountsWorld


async def refusal(people: AccountsWorld, token: str) -> str:
    with pytest.raises(NotAuthenticated) as refused:
        await people.confirm(token)
    return refused.value.reason


async def test_confirming_signs_in(people: AccountsWorld) -> None:
    signed_up = await people.sign_up_as("new@example.com")
    signed_in = await people.confirm(await people.mailed_token(), "phone")
    actor = await people.actor(signed_in)
    assert (actor.account_id, actor.email) == (signed_up.account_id, "new@example.com")
    assert actor.session_id == signed_in.session_id
    assert actor.profile.username is None


async def test_a_token_works_once(people: AccountsWorld) -> None:
    await people.sign_up_as("new@example.com")
    token = await people.mailed_token()
    await people.confirm(token)
    assert await refusal(people, token) == "token_invalid"


async def test_each_letter_activates_its_own_password_and_voids_the_others(people: AccountsWorld) -> None:
    await people.sign_up_as("new@example.com", "Attackers1")
    theirs = await people.mailed_token()
    people.clock.pass_by(seconds=1)
    await people.sign_up_as("New@example.com", "Owners-own1")
    mine = await people.mailed_token()
    await people.confirm(mine)
    assert await refusal(people, theirs) == "token_invalid"
    await people.sign_in_as("new@example.com", "Owners-own1")
    with pytest.raises(NotAuthenticated):
        await people.sign_in_as("new@example.com", "Attackers1")
    actor = await people.actor(await people.sign_in_as("new@example.com", "Owners-own1"))
    assert actor.email == "New@example.com", "the address is the one that was shown to be theirs"


async def test_an_earlier_letter_stays_good_until_one_is_used(people: AccountsWorld) -> None:
    await people.sign_up_as("new@example.com", "Password1")
    earlier = await people.mailed_token()
    await people.sign_up_as("new@example.com", "Password2")
    await people.confirm(earlier)
    await people.sign_in_as("new@example.com", "Password1")


async def test_the_order_of_checks(people: AccountsWorld) -> None:
    signed_up = await people.sign_up_as("new@example.com")
    now = people.clock.now().replace(microsecond=0)

    def confirming(**other: object) -> ConfirmationToken:
        usual = {
            "account_id": signed_up.account_id,
            "email": "new@example.com",
            "confirmation_id": ConfirmationId(uuid4()),
            "issued_at": now,
            "expires_at": now + timedelta(days=2),
        }
        return ConfirmationToken(**(usual | other))  # type: ignore[arg-type]  # one of each kind above

    def of_session(expires_at: timedelta) -> SessionToken:
        return SessionToken(
            type=SessionTokenType.ACCESS,
            account_id=signed_up.account_id,
            email="new@example.com",
            session_id=SessionId(uuid4()),
            token_id="t",
            issued_at=now,
            expires_at=now + expires_at,
        )

    sign = people.tokens.sign
    forger = JwtTokens("another secret, just as long as ours is", "messenger", "clients")
    assert await refusal(people, "garbage") == "token_malformed"
    assert await refusal(people, forger.sign(confirming())) == "token_invalid"
    assert await refusal(people, sign(confirming(expires_at=now))) == "token_expired"
    assert await refusal(people, sign(of_session(timedelta(0)))) == "token_expired"
    assert await refusal(people, sign(of_session(timedelta(minutes=30)))) == "token_type"
    assert await refusal(people, sign(confirming(account_id=AccountId(uuid4())))) == "token_invalid"
    assert await refusal(people, sign(confirming())) == "token_invalid", "no such confirmation"


async def test_an_expired_letter(people: AccountsWorld) -> None:
    await people.sign_up_as("new@example.com")
    token = await people.mailed_token()
    people.clock.pass_by(days=2)
    assert await refusal(people, token) == "token_expired"


async def test_a_good_token_of_a_confirmed_account_is_a_conflict(people: AccountsWorld) -> None:
    """The letter for a forgotten password carries such a token, which is redeemed by `/token/redeem/`."""
    signed_up = await people.sign_up_as("new@example.com")
    await people.confirm(await people.mailed_token())
    now = people.clock.now().replace(microsecond=0)
    confirmation = Confirmation(
        id=ConfirmationId(uuid4()),
        account_id=signed_up.account_id,
        email=Email("new@example.com"),
        password_hash=PasswordHash("another"),
        issued_at=now,
        expires_at=now + timedelta(days=2),
    )
    async with people.begin() as work:
        await work.confirmations.add(confirmation)
    token = people.tokens.sign(
        ConfirmationToken(
            account_id=signed_up.account_id,
            email="new@example.com",
            confirmation_id=confirmation.id,
            issued_at=now,
            expires_at=now + timedelta(days=2),
        )
    )
    with pytest.raises(AlreadyConfirmed):
        await people.confirm(token)
    await people.sign_in_as("new@example.com", PASSWORD)  # the password is as it was
