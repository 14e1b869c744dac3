"""A socket that comes in is recognised by what its node has seen a moment ago, and refused as soon as the session ends."""

import pytest
from attrs import define, evolve

from application.accounts.authenticate import Authenticate
from application.accounts.sessions import RevokeSession
from application.errors import NotAuthenticated
from application.views import LiveSession
from config.features.accounts import make_account_rules
from domain.ids import AccountId, SessionId
from infrastructure.memory.views import MemoryViews
from tests.interfaces.live.test_hub import Node
from tests.world import SETTINGS, world


@define(eq=False)
class Counting:
    """Counts the reads of sessions."""

    reads: int = 0


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    counting, live_session = Counting(), MemoryViews.live_session

    async def counted(self: MemoryViews, account_id: AccountId, session_id: SessionId) -> LiveSession | None:
        counting.reads += 1
        return await live_session(self, account_id, session_id)

    monkeypatch.setattr(MemoryViews, "live_session", counted)
    return counting


async def test_a_socket_is_recognised_without_a_read_until_the_session_ends(counting: Counting) -> None:
    async with world() as here:
        ann = await here.person()
        Node(here)
        accounts = here.messenger.accounts
        counting.reads = 0
        command = Authenticate(token=ann.token)
        for _ in range(3):
            assert (await accounts.recognise(command)).session_id == ann.actor.session_id
        assert counting.reads == 1
        await here.messenger.sessions.revoke(ann.actor, RevokeSession(session_id=ann.actor.session_id))
        with pytest.raises(NotAuthenticated):
            await accounts.recognise(command)


async def test_where_only_the_newest_token_counts_each_socket_is_looked_up(counting: Counting) -> None:
    settings = evolve(SETTINGS, auth=evolve(SETTINGS.auth, one_access_token=True))
    assert make_account_rules(settings).sessions.one_access_token
    async with world(settings=settings) as here:
        ann = await here.person()
        counting.reads = 0
        for _ in range(2):
            await here.messenger.accounts.recognise(Authenticate(token=ann.token))
        assert counting.reads == 2
