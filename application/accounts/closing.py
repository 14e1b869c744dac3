"""The closing of an account, shared by its owner's request and the operator's."""

from collections.abc import Sequence
from datetime import datetime

from application.accounts.own_sessions import end_all
from application.keys import owned_by_address
from application.ports.keys import LETTERS
from application.ports.storage import UnitOfWork
from domain.account import Account
from domain.events import SessionEnd
from domain.session import Session


async def close(work: UnitOfWork, account: Account, sessions: Sequence[Session], *, at: datetime) -> None:
    """
    Closes a locked account: ends these sessions, voids links in letters, removes the second factor, identities,
    passkeys and the profile, and frees address and username. `ClearClosedAccountsHandler` takes the owner out of their chats afterwards.
    """
    account.close(at=at)
    await work.accounts.save(account)
    await work.accounts.release_email(account)
    for operation in LETTERS:
        await work.keys.forget(owned_by_address(operation, account.email))
    await work.confirmations.void_all(account.id)
    await work.factors.remove(account.id)
    for identity in await work.identities.of(account.id):
        await work.identities.remove(identity)
    for passkey in await work.passkeys.of(account.id):
        await work.passkeys.remove(passkey)
    profile_id = await work.profiles.find_by_account(account.id)
    if profile_id is not None:
        await work.profiles.remove(await work.profiles.lock(profile_id))
    await end_all(work, sessions, SessionEnd.ACCOUNT_CLOSED, at=at)
