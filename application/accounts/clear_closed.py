from collections.abc import Sequence
from datetime import timedelta

from attrs import frozen

from application.ports.clock import Clock
from application.ports.storage import Begin
from domain.account import Account
from domain.ids import ChatId, ProfileId


@frozen(kw_only=True)
class ClearClosedAccountsHandler:
    """
    Completes the closing of accounts: removes the owner from each of their chats, one transaction a chat, so that no chat
    waits for another, and then removes the account. Running it again does what is left to do.

    An account stays for a while after it was closed: a request that was let in just before may still put its owner into a
    chat.
    """

    begin: Begin
    clock: Clock
    rest: timedelta = timedelta(minutes=5)
    at_once: int = 20

    async def __call__(self) -> bool:
        """
        Takes every closed account in turn, so that those that cannot be removed yet keep nobody waiting. Returns False:
        what is left is left for the next round.

        Raises:
            Exception: The first failure, after all other accounts had their turn.
        """
        failures = []
        page: Sequence[Account] = await self._page(None)
        while page:
            for account in page:
                try:
                    await self._clear(account)
                except Exception as error:  # noqa: BLE001  # one account must not keep the others waiting
                    failures.append(error)
            page = await self._page(page[-1])
        if failures:
            raise failures[0]
        return False

    async def _page(self, after: Account | None) -> Sequence[Account]:
        async with self.begin() as work:
            return await work.accounts.closed(self.at_once, after)

    async def _clear(self, account: Account) -> None:
        async with self.begin() as work:
            profile_id = await work.profiles.find_by_account(account.id)
            chats = await work.chats.of(profile_id) if profile_id else ()
        for chat_id in chats:
            if profile_id:
                await self._withdraw(chat_id, profile_id)
        if account.closed_at is not None and account.closed_at + self.rest <= self.clock.now():
            async with self.begin() as work:
                await work.accounts.remove(account.id)

    async def _withdraw(self, chat_id: ChatId, profile_id: ProfileId) -> None:
        async with self.begin() as work:
            chat = await work.chats.lock(chat_id)
            members = await work.chats.members(chat_id)
            gone = next((member for member in members if member.profile_id == profile_id), None)
            if gone is not None:
                await work.chats.keep(chat, chat.withdraw(gone, members, at=self.clock.now()))
