"""A person may watch the presence of people with whom they share a chat, as storage has it at that moment."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

from attrs import evolve

from application.actor import Actor
from application.updates.presence import WatchableHandler
from application.views import Contact
from domain.account import Account, Email
from domain.ids import ProfileId
from domain.profile import Profile
from tests.contracts.talk import actor, open_chat
from tests.contracts.test_accounts import session
from tests.contracts.test_marking import remove
from tests.contracts.test_posting import delete
from tests.storages import SharedStorage
from tests.strategies import START


async def settled(storage: SharedStorage, *who: Actor) -> None:
    """Gives people accounts, which `actor` does not."""
    async with storage.begin() as work:
        for each in who:
            account = Account(id=each.account_id, email=Email(f"{uuid4()}@example.com"), created_at=START)
            await work.accounts.add(account)
            await work.profiles.add(Profile(id=each.profile_id, account_id=each.account_id))


async def watchable(storage: SharedStorage, watcher: Actor, *wanted: ProfileId) -> Sequence[Contact]:
    return await WatchableHandler(views=storage.views)(watcher.profile_id, wanted)


async def ids(storage: SharedStorage, watcher: Actor, *wanted: Actor) -> set[ProfileId]:
    return {
        contact.profile_id
        for contact in await watchable(storage, watcher, *(each.profile_id for each in wanted))
    }


async def test_those_who_share_a_chat_and_nobody_else(storage: SharedStorage) -> None:
    ann, bob, cid, stranger, nobody = [actor() for _ in range(5)]
    await settled(storage, ann, bob, cid, stranger)
    one = await open_chat(storage.begin, ann, bob)
    other = await open_chat(storage.begin, bob, ann, cid)
    await open_chat(storage.begin, stranger, nobody)
    everybody = (ann, bob, cid, stranger, nobody, bob)
    assert await ids(storage, ann, *everybody) == {bob.profile_id, cid.profile_id}
    assert await ids(storage, stranger, *everybody) == set(), "nobody has no profile"
    await remove(storage, other, ann)
    assert await ids(storage, ann, *everybody) == {bob.profile_id}
    assert await ids(storage, cid, *everybody) == {bob.profile_id}
    await delete(storage, one.id, ann)
    assert await ids(storage, ann, *everybody) == set()
    assert await watchable(storage, ann) == []


async def test_a_closed_account_is_no_longer_found(storage: SharedStorage) -> None:
    ann, bob = actor(), actor()
    await settled(storage, ann, bob)
    await open_chat(storage.begin, ann, bob)
    async with storage.begin() as work:
        await work.profiles.remove(await work.profiles.lock(bob.profile_id))
    assert await ids(storage, ann, bob) == set()


async def test_when_a_session_was_last_used(storage: SharedStorage) -> None:
    ann, bob = actor(), actor()
    await settled(storage, ann, bob)
    await open_chat(storage.begin, ann, bob)
    (contact,) = await watchable(storage, ann, bob.profile_id)
    assert contact.last_used_at is None
    moments = [START + timedelta(seconds=seconds) for seconds in (1, 0)]
    async with storage.begin() as work:
        for device, at in zip(("phone", "desk"), moments, strict=True):
            used = session(bob.account_id, device)
            await work.sessions.add(evolve(used, profile_id=bob.profile_id, last_used_at=at))
    (contact,) = await watchable(storage, ann, bob.profile_id)
    assert contact.last_used_at == moments[0]
