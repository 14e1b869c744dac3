import asyncio

import pytest

from application.errors import NotAuthenticated
from domain.events import SessionEnd, SessionEnded
from tests.accounts_world import AccountsWorld


async def refusal(people: AccountsWorld, token: str, device: str = "first") -> str:
    with pytest.raises(NotAuthenticated) as refused:
        await people.refresh_with(token, device)
    return refused.value.reason


async def test_the_old_pair_is_dead_at_once(people: AccountsWorld) -> None:
    first = await people.join("one@example.com")
    people.clock.pass_by(minutes=1)
    second = await people.refresh_with(first.refresh_token)
    assert second.session_id == first.session_id
    await people.actor(second)
    with pytest.raises(NotAuthenticated) as refused:
        await people.actor(first)
    assert refused.value.reason == "token_invalid"


async def test_the_same_exchange_within_the_grace_gives_the_same_tokens(people: AccountsWorld) -> None:
    first = await people.join("one@example.com")
    second = await people.refresh_with(first.refresh_token)
    people.clock.pass_by(seconds=9.9)
    assert await people.refresh_with(first.refresh_token) == second
    await people.actor(second)


async def test_a_used_token_ends_its_family(people: AccountsWorld) -> None:
    first = await people.join("one@example.com")
    actor = await people.actor(first)
    elsewhere = await people.sign_in_as("one@example.com", device="elsewhere")
    second = await people.refresh_with(first.refresh_token)
    people.clock.pass_by(seconds=10)
    assert await refusal(people, first.refresh_token) == "token_invalid"
    assert people.published == [
        SessionEnded(
            profile_id=actor.profile_id,
            session_id=first.session_id,
            reason=SessionEnd.REUSED,
            at=people.clock.now(),
        )
    ]
    with pytest.raises(NotAuthenticated):
        await people.actor(second)
    assert await refusal(people, second.refresh_token) == "token_invalid"
    await people.actor(elsewhere)
    assert await refusal(people, first.refresh_token) == "token_invalid"
    assert len(people.published) == 1, "it ended once"


async def test_twenty_exchanges_of_one_token_give_one_pair(people: AccountsWorld) -> None:
    first = await people.join("one@example.com")
    answers = await asyncio.gather(*(people.refresh_with(first.refresh_token) for _ in range(20)))
    assert len(set(answers)) == 1
    await people.actor(answers[0])


async def test_another_device_ends_the_session_for_good(people: AccountsWorld) -> None:
    first = await people.join("one@example.com")
    actor = await people.actor(first)
    assert await refusal(people, first.refresh_token, "other") == "token_invalid"
    assert people.published == [
        SessionEnded(
            profile_id=actor.profile_id,
            session_id=first.session_id,
            reason=SessionEnd.MISMATCHED,
            at=people.clock.now(),
        )
    ]
    assert await refusal(people, first.refresh_token) == "token_invalid"
    with pytest.raises(NotAuthenticated):
        await people.actor(first)


async def test_what_is_no_refresh_token_of_ours(people: AccountsWorld) -> None:
    first = await people.join("one@example.com")
    assert await refusal(people, "") == "token_invalid"
    assert await refusal(people, "garbage") == "token_invalid"
    assert await refusal(people, first.access_token) == "token_type"
    people.clock.pass_by(days=60)
    assert await refusal(people, first.refresh_token) == "token_expired"


async def test_a_chain_of_refreshes_lives_on(people: AccountsWorld) -> None:
    signed_in = await people.join("one@example.com")
    for _ in range(10):
        people.clock.pass_by(days=59)
        signed_in = await people.refresh_with(signed_in.refresh_token)
    await people.actor(signed_in)
