import pytest

from application.accounts.sign_out import SignOut
from application.errors import NotAuthenticated
from domain.events import SessionEnd, SessionEnded
from tests.accounts_world import AccountsWorld


def ends(people: AccountsWorld) -> list[SessionEnd]:
    return [update.reason for update in people.published if isinstance(update, SessionEnded)]


@pytest.mark.parametrize("by", ["access", "refresh", "both"])
async def test_either_token_ends_its_session(people: AccountsWorld, by: str) -> None:
    signed_in = await people.join("one@example.com")
    await people.accounts.sign_out(
        SignOut(
            access_token=signed_in.access_token if by != "refresh" else None,
            refresh_token=signed_in.refresh_token if by != "access" else None,
        )
    )
    with pytest.raises(NotAuthenticated):
        await people.actor(signed_in)
    with pytest.raises(NotAuthenticated):
        await people.refresh_with(signed_in.refresh_token)
    assert ends(people) == [SessionEnd.SIGNED_OUT]


async def test_tokens_of_two_sessions_end_both(people: AccountsWorld) -> None:
    one = await people.join("one@example.com")
    other = await people.sign_in_as("one@example.com", device="other")
    await people.accounts.sign_out(SignOut(access_token=one.access_token, refresh_token=other.refresh_token))
    assert ends(people) == [SessionEnd.SIGNED_OUT, SessionEnd.SIGNED_OUT]


async def test_nothing_is_no_error(people: AccountsWorld) -> None:
    signed_in = await people.join("one@example.com")
    await people.accounts.sign_out(SignOut())
    await people.accounts.sign_out(SignOut(access_token="garbage", refresh_token=""))
    await people.accounts.sign_out(
        SignOut(access_token=signed_in.refresh_token, refresh_token=signed_in.access_token)
    )
    await people.actor(signed_in)
    for _ in range(2):
        await people.accounts.sign_out(SignOut(refresh_token=signed_in.refresh_token))
    assert ends(people) == [SessionEnd.SIGNED_OUT]


async def test_a_tab_with_the_access_token_of_before_signs_out(people: AccountsWorld) -> None:
    first = await people.join("one@example.com")
    second = await people.refresh_with(first.refresh_token)
    await people.accounts.sign_out(SignOut(access_token=first.access_token))
    with pytest.raises(NotAuthenticated):
        await people.actor(second)


async def test_tokens_that_are_spent_or_expired_end_nothing(people: AccountsWorld) -> None:
    first = await people.join("one@example.com")
    second = await people.refresh_with(first.refresh_token)
    people.clock.pass_by(seconds=10)
    await people.accounts.sign_out(SignOut(refresh_token=first.refresh_token))
    await people.actor(second)
    people.clock.pass_by(days=60)
    await people.accounts.sign_out(
        SignOut(access_token=second.access_token, refresh_token=second.refresh_token)
    )
    assert ends(people) == []
