import pytest
from typing_extensions import override

from application.accounts.access_tokens import NoteUse
from application.accounts.authenticate import Authenticate, AuthenticateHandler
from application.errors import NotAuthenticated, Unavailable
from application.views import LiveSession
from domain.ids import AccountId, SessionId
from domain.session import Lifetimes
from infrastructure.memory.storage import MemoryStorage
from infrastructure.memory.views import MemoryViews
from tests.accounts_world import AccountsWorld


async def test_an_access_token_lasts_half_an_hour(people: AccountsWorld) -> None:
    signed_in = await people.join("one@example.com")
    people.clock.pass_by(minutes=29)
    await people.actor(signed_in)
    people.clock.pass_by(minutes=1)
    with pytest.raises(NotAuthenticated) as refused:
        await people.actor(signed_in)
    assert refused.value.reason == "token_expired"


@pytest.mark.parametrize(("token", "reason"), [("", "token_invalid"), ("a.b.c", "token_invalid")])
async def test_what_is_no_token(people: AccountsWorld, token: str, reason: str) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        await people.accounts.authenticate(Authenticate(token=token))
    assert refused.value.reason == reason


async def test_a_refresh_token_lets_nobody_in(people: AccountsWorld) -> None:
    signed_in = await people.join("one@example.com")
    with pytest.raises(NotAuthenticated) as refused:
        await people.accounts.authenticate(Authenticate(token=signed_in.refresh_token))
    assert refused.value.reason == "token_type"


async def test_storage_that_is_down_says_nothing_about_the_token(people: AccountsWorld) -> None:
    signed_in = await people.join("one@example.com")

    class Down(MemoryViews):
        @override
        async def live_session(self, account_id: AccountId, session_id: SessionId) -> LiveSession | None:
            raise Unavailable

    handler = AuthenticateHandler(
        views=Down(MemoryStorage()),
        clock=people.clock,
        tokens=people.tokens,
        access_tokens=people.ports.access_tokens,
        note_use=NoteUse(begin=people.begin),
        lifetimes=Lifetimes(),
    )
    with pytest.raises(Unavailable):
        await handler(Authenticate(token=signed_in.access_token))


async def test_commands_do_not_show_tokens() -> None:
    assert "secret" not in repr(Authenticate(token="secret"))
