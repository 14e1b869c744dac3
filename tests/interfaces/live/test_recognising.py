"""A socket that comes in is recognised by what its node has seen a moment ago, and refused as soon as the session ends."""

import pytest
from attrs import define, evolve

from application.accounts.authenticate import Authenticate
from application.accounts.sessions import RevokeSession
from application.errors import NotAuthenticated
from application.views import LiveSession
from config.features.accounts import make_account_rules
from domain.ids import AccountId, SessionId
from tests.interfaces.live.test_hub import Node
from tests.world import SETTINGS, World, world


@define(eq=False)
class Counting:
    """Counts the reads of sessions."""

    here: World
    reads: int = 0

    def __attrs_post_init__(self) -> None:
        views = self.here.application.ports().storage.views
        honest = views.live_session

        async def live_session(account_id: AccountId, session_id: SessionId) -> LiveSession | None:
            self.reads += 1
            return await honest(account_id, session_id)

        object.__setattr__(self.here.messenger.accounts.recognise.authenticate, "views", _Views(live_session))  # type: ignore[attr-defined]


@define
class _Views:
    live_session: object


async def test_a_socket_is_recognised_without_a_read_until_the_session_ends() -> None:
    async with world() as here:
        ann = await here.person()
        Node(here)
        counting, accounts = Counting(here), here.messenger.accounts
        command = Authenticate(token=ann.token)
        for _ in range(3):
            assert (await accounts.recognise(command)).session_id == ann.actor.session_id
        assert counting.reads == 1
        await here.messenger.sessions.revoke(ann.actor, RevokeSession(session_id=ann.actor.session_id))
        with pytest.raises(NotAuthenticated):
            await accounts.recognise(command)


async def test_where_only_the_newest_token_counts_each_socket_is_looked_up() -> None:
    settings = evolve(SETTINGS, auth=evolve(SETTINGS.auth, one_access_token=True))
    assert make_account_rules(settings).sessions.one_access_token
    async with world(settings=settings) as here:
        ann = await here.person()
        counting = Counting(here)
        for _ in range(2):
            await here.messenger.accounts.recognise(Authenticate(token=ann.token))
        assert counting.reads == 2
