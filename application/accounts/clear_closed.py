from datetime import timedelta

from attrs import frozen

from application.ports.clock import Clock
from application.ports.storage import Begin
from domain.account import Account
from domain.ids import ChatId, ProfileId


@frozen(kw_only=True)
class ClearClosedAccountsHandler:
    """
    Bring to an end what closing an account began: take its owner out of their chats, one transaction a chat, so that no
    chat waits for another, and remove the account. Doing it again does what is left to do.

    The account stays for a while after it was closed: a request that was let in just before may still put its owner into
    a chat.
    """

    begin: Begin
    clock: Clock
    rest: timedelta = timedelta(minutes=5)
    at_once: int = 20

    async def __call__(self) -> bool:
        """True: there may be more."""
        async with self.begin() as work:
            closed = await work.accounts.closed(self.at_once)
        removed = [await self._clear(account) for account in closed]
        return all(removed) and len(removed) == self.at_once

    async def _clear(self, account: Account) -> bool:
        async with self.begin() as work:
            profile_id = await work.profiles.find_by_account(account.id)
            chats = await work.chats.of(profile_id) if profile_id else ()
        for chat_id in chats:
            if profile_id:
                await self._withdraw(chat_id, profile_id)
        if account.closed_at is None or account.closed_at + self.rest > self.clock.now():
            return False
        async with self.begin() as work:
            await work.accounts.remove(account.id)
        return True

    async def _withdraw(self, chat_id: ChatId, profile_id: ProfileId) -> None:
        async with self.begin() as work:
            chat = await work.chats.lock(chat_id)
            members = await work.chats.members(chat_id)
            gone = next((member for member in members if member.profile_id == profile_id), None)
            if gone is not None:
                await work.chats.keep(chat, chat.withdraw(gone, members, at=self.clock.now()))
