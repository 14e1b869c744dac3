"""The session of a device: its refresh token and fingerprint, and the two ways to new tokens."""

import json
from collections.abc import Awaitable, Callable, Mapping

from messenger_client.accounts import Accounts, Tokens
from messenger_client.errors import Refused, StorageDamaged

NAME = "session"

Save = Callable[[Mapping[str, str | None]], Awaitable[None]]


class Session:
    """
    Args:
        accounts: The accounts of the server.
        email: The address of the account. What is stored of another account is not used.
        password: For signing in; None if there is only a refresh token.
        new_id: Makes the fingerprint of a new device.
    """

    def __init__(
        self, accounts: Accounts, email: str, password: str | None, new_id: Callable[[], str]
    ) -> None:
        self._accounts = accounts
        self._email = email
        self._password = password
        self._fingerprint = new_id()
        self._refresh_token: str | None = None

    @property
    def is_open(self) -> bool:
        """True if the client holds a refresh token."""
        return self._refresh_token is not None

    def load(self, stored: Mapping[str, str]) -> bool:
        """
        Takes over a stored session. Returns False if another account stored it.

        Raises:
            StorageDamaged: It cannot be read.
        """
        if NAME not in stored:
            return True
        try:
            fields = json.loads(stored[NAME])
            if fields["email"] != self._email:
                return False
            self._fingerprint = fields["fingerprint"]
            self._refresh_token = fields["refresh_token"]
        except (ValueError, KeyError, TypeError) as error:
            raise StorageDamaged("the session cannot be read") from error
        return True

    async def refresh(self, save: Save) -> Tokens:
        """
        New tokens for the refresh token, which is replaced, and stored before it is used.

        Raises:
            Refused, Unreachable: See `Accounts`.
        """
        assert self._refresh_token is not None
        return await self._take(await self._accounts.refresh(self._refresh_token, self._fingerprint), save)

    async def sign_in(self, save: Save) -> Tokens:
        """
        Tokens of a new session.

        Raises:
            Refused, Unreachable: See `Accounts`.
        """
        if self._password is None:
            raise Refused("SIGNED_OUT", "there is no password to sign in with")
        return await self._take(
            await self._accounts.sign_in(self._email, self._password, self._fingerprint), save
        )

    async def _take(self, tokens: Tokens, save: Save) -> Tokens:
        self._refresh_token = tokens.refresh
        fields = {
            "email": self._email,
            "fingerprint": self._fingerprint,
            "refresh_token": tokens.refresh,
        }
        await save({NAME: json.dumps(fields)})
        return tokens

    async def sign_out(self, save: Save) -> None:
        """
        Ends the session at the server, and forgets it.

        Raises:
            Refused, Unreachable: See `Accounts`.
        """
        if self._refresh_token is not None:
            await self._accounts.sign_out(self._refresh_token)
            self._refresh_token = None
            await save({NAME: None})
