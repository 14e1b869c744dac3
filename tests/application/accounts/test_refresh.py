import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import evolve

from application.accounts.sign_out import SignOut
from application.errors import NotAuthenticated
from config.adapters import memory_storage
from domain.events import SessionEnd, SessionEnded
from domain.session import Lifetimes
from infrastructure.memory.storage import MemoryStorage
from tests.accounts_world import AccountsWorld


async def refusal(people: AccountsWorld, token: str, device: str = "first") -> str:
    with pytest.raises(NotAuthenticated) as refused:
        await people.refresh_with(token, device)
    return refused.value.reason


async def test_the_access_token_of_before_lasts_until_it_expires(people: AccountsWorld) -> None:
    """Two tabs of a browser share the refresh cookie, and each has its own access token."""
    first = await people.join("one@example.com")
    people.clock.pass_by(minutes=20)
    second = await people.refresh_with(first.refresh_token)
    people.clock.pass_by(minutes=9)
    third = await people.refresh_with(second.refresh_token)
    for each in first, second, third:
        assert (await people.actor(each)).session_id == first.session_id
    people.clock.pass_by(minutes=1)
    with pytest.raises(NotAuthenticated) as refused:
        await people.actor(first)
    assert refused.value.reason == "token_expired"
    await people.actor(second)


async def test_the_access_token_of_before_ends_with_the_session(people: AccountsWorld) -> None:
    first = await people.join("one@example.com")
    second = await people.refresh_with(first.refresh_token)
    people.clock.pass_by(seconds=10)
    assert await refusal(people, first.refresh_token) == "token_invalid"
    for each in first, second:
        with pytest.raises(NotAuthenticated) as refused:
            await people.actor(each)
        assert refused.value.reason == "token_invalid"


async def test_a_setting_ends_the_access_token_of_before_as_in_the_original(tmp_path: Path) -> None:
    lifetimes = Lifetimes(one_access_token=True)
    people = AccountsWorld(memory_storage(MemoryStorage()), tmp_path, lifetimes=lifetimes)
    first = await people.join("one@example.com")
    second = await people.refresh_with(first.refresh_token)
    await people.actor(second)
    with pytest.raises(NotAuthenticated) as refused:
        await people.actor(first)
    assert refused.value.reason == "token_invalid"
    await people.accounts.sign_out(SignOut(access_token=first.access_token))
    await people.actor(second)
    people.passwords.close()


async def test_an_answer_tells_how_long_the_access_token_lasts(people: AccountsWorld) -> None:
    people.clock.at = people.clock.at.replace(microsecond=250_000)
    first = await people.join("one@example.com")
    assert first.expires_in == timedelta(minutes=30, seconds=-0.25)
    second = await people.refresh_with(first.refresh_token)
    people.clock.pass_by(seconds=9)
    again = await people.refresh_with(first.refresh_token)
    assert (again.access_token, again.expires_in) == (
        second.access_token,
        timedelta(minutes=29, seconds=50.75),
    )


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


async def test_a_chain_of_refreshes_ends_where_a_last_day_is_set(people: AccountsWorld) -> None:
    people.rules = evolve(people.rules, sessions=Lifetimes(longest=timedelta(days=90)))
    people.accounts = people.accounts_over(people.ports)
    signed_in = await people.join("one@example.com")
    people.clock.pass_by(days=50)
    signed_in = await people.refresh_with(signed_in.refresh_token)
    people.clock.pass_by(days=39)
    signed_in = await people.refresh_with(signed_in.refresh_token)
    people.clock.pass_by(days=1)
    assert await refusal(people, signed_in.refresh_token) == "token_expired"


async def test_a_chain_of_refreshes_lives_on(people: AccountsWorld) -> None:
    signed_in = await people.join("one@example.com")
    for _ in range(10):
        people.clock.pass_by(days=59)
        signed_in = await people.refresh_with(signed_in.refresh_token)
    await people.actor(signed_in)
