"""Accounts and what belongs to them, as a unit of work sees them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from application.paging import Page, Paging, PersonPlace, SessionPlace
from application.views import ProfileView
from domain.account import Account, Confirmation, Email, PasswordHash
from domain.factor import SecondFactor
from domain.identity import Identity, Subject
from domain.ids import AccountId, ConfirmationId, LetterId, ProfileId, SessionId
from domain.notification import Letter
from domain.passkey import Passkey
from domain.profile import Profile
from domain.session import Fingerprint, Origin, Session


class Accounts(Protocol):
    async def add(self, account: Account) -> None:
        """
        Raises:
            EmailTaken: Another account has the address, or got it while this unit was running.
        """
        ...

    async def find_by_email(self, email: Email) -> Account | None:
        """The account of this address in any spelling. An exact match of a former spelling comes first."""
        ...

    async def page(self, after: str, limit: int) -> Sequence[tuple[str, Account]]:
        """Accounts in the order of their folded addresses, each with the one it is listed under; those after ``after``."""
        ...

    async def former_hash(self) -> PasswordHash | None:
        """A password hash by bcrypt of some account, as long as there are any: the original messenger made those."""
        ...

    async def lock(self, account_id: AccountId) -> Account:
        """
        Locks the account until the unit of work ends. Opening a session and confirming take this lock.

        Raises:
            AccountNotFound: There is no such account.
        """
        ...

    async def save(self, account: Account) -> None:
        """Stores a locked account. Its address may differ from the stored one in spelling only."""
        ...

    async def release_email(self, account: Account) -> None:
        """Frees the address of a locked account: it is no longer found by it, and anybody may take it."""
        ...

    async def closed(self, limit: int, after: Account | None = None) -> Sequence[Account]:
        """Closed accounts that are not removed yet, in the order of closing and id; those after ``after``."""
        ...

    async def remove(self, account_id: AccountId) -> None:
        """
        Removes a locked account with its sessions, letters, confirmations and second factor, and forgets which profile it
        had. Its address was released before, and its identities and passkeys were removed.
        """
        ...


class Confirmations(Protocol):
    async def add(self, confirmation: Confirmation) -> bool:
        """Returns False if its account has one of this id already; that one stays."""
        ...

    async def find(self, account_id: AccountId, confirmation_id: ConfirmationId) -> Confirmation | None:
        """Returns None if there never was such a confirmation, or if it is void."""
        ...

    async def void_all(self, account_id: AccountId) -> None:
        """Removes every confirmation of a locked account, with the passwords that wait in them."""
        ...

    async def void_resets(self, account_id: AccountId) -> None:
        """Removes the confirmations of a locked account that were made to reset its password."""
        ...

    async def remove_expired(self, at: datetime) -> None: ...


class Factors(Protocol):
    """Second factors, one of an account at most. Each is read and written while its account is locked."""

    async def find(self, account_id: AccountId) -> SecondFactor | None: ...

    async def save(self, factor: SecondFactor) -> None:
        """Stores the factor of a locked account, in place of the one that it had."""
        ...

    async def remove(self, account_id: AccountId) -> None:
        """Removes the factor of a locked account, if it has one."""
        ...


class Identities(Protocol):
    """Identities at providers. Those of an account are read and written while it is locked."""

    async def find_account(self, subject: Subject) -> AccountId | None:
        """The account that is linked with an identity."""
        ...

    async def of(self, account_id: AccountId) -> Sequence[Identity]:
        """The identities of an account, the oldest link first."""
        ...

    async def add(self, identity: Identity) -> None:
        """
        Raises:
            IdentityTaken: An account is linked with it already, or was while this unit was running.
        """
        ...

    async def save(self, identity: Identity) -> None: ...

    async def remove(self, identity: Identity) -> None: ...


class Passkeys(Protocol):
    """Passkeys. Those of an account are read and written while it is locked."""

    async def of(self, account_id: AccountId) -> Sequence[Passkey]:
        """The passkeys of an account, the oldest first."""
        ...

    async def save(self, passkey: Passkey) -> None:
        """Stores a passkey of a locked account, new or not."""
        ...

    async def remove(self, passkey: Passkey) -> None: ...


class Sessions(Protocol):
    async def add(self, session: Session) -> None:
        """Adds a session. An account has one live session per fingerprint: the former one must have ended before."""
        ...

    async def lock(self, account_id: AccountId, session_id: SessionId) -> Session:
        """
        Locks the session until the unit of work ends. Sessions that have ended are found, too.

        Raises:
            SessionNotFound: There is no such session.
        """
        ...

    async def lock_live(self, account_id: AccountId, fingerprint: Fingerprint) -> Session | None:
        """Locks and returns the live session of this device, if there is one."""
        ...

    async def save(self, session: Session) -> None:
        """Stores a locked session."""
        ...

    async def not_ended(self, account_id: AccountId) -> Sequence[Session]:
        """Sessions of an account that have not ended, most recently used first."""
        ...

    async def page_of_live(
        self, account_id: AccountId, at: datetime, paging: Paging[SessionPlace]
    ) -> Page[Session, SessionPlace]:
        """Sessions of an account on devices, not those of programs, that are live at this moment; the newest first."""
        ...

    async def lock_not_ended(self, account_id: AccountId) -> Sequence[Session]:
        """Locks the sessions of an account that have not ended, in the order of their ids."""
        ...

    async def lock_oldest(self, account_id: AccountId, *, keep: int) -> Sequence[Session]:
        """
        Locks the sessions of a locked account that have not ended, but for the ``keep`` newest, in the order of their ids.
        Those that another unit holds, and those of programs, are left out.
        """
        ...

    async def lock_expired(self, at: datetime, limit: int) -> Sequence[Session]:
        """Locks sessions that have expired but not ended. Those that another unit holds are left out."""
        ...

    async def is_new_device(self, account_id: AccountId, fingerprint: Fingerprint, origin: Origin) -> bool:
        """
        Whether the account had sessions before, and none from this device: none by this fingerprint, or where it gives
        none, none of this user agent.
        """
        ...

    async def knows_device(self, account_id: AccountId, fingerprint: Fingerprint) -> bool:
        """Tells whether this device has signed in to the account before. A device without a fingerprint is not known."""
        ...

    async def remove_ended(self, before: datetime) -> None:
        """Removes sessions that ended before then."""
        ...


class Profiles(Protocol):
    async def add(self, profile: Profile) -> None:
        """Adds the profile of a new account, which has no username yet."""
        ...

    async def find_by_account(self, account_id: AccountId) -> ProfileId | None: ...

    async def find(self, profile_id: ProfileId) -> Profile | None: ...

    async def missing(self, profile_ids: Sequence[ProfileId]) -> Sequence[ProfileId]:
        """Returns those of ``profile_ids`` that do not exist, in their order."""
        ...

    async def views(self, profile_ids: Sequence[ProfileId]) -> Mapping[ProfileId, ProfileView]:
        """Profiles as others see them. Those that do not exist are left out."""
        ...

    async def lock(self, profile_id: ProfileId) -> Profile:
        """
        Locks the profile until the unit of work ends.

        Raises:
            ProfileNotFound: There is no such profile.
        """
        ...

    async def save(self, profile: Profile) -> None:
        """
        Stores a locked profile.

        Raises:
            UsernameTaken: Another profile holds one of the username's claims, or got it while this unit was running.
        """
        ...

    async def remove(self, profile: Profile) -> None:
        """Removes a locked profile and frees its username. `find_by_account` still knows its id."""
        ...

    async def search(
        self, prefix: str, limit: int, after: PersonPlace | None = None
    ) -> Page[Profile, PersonPlace]:
        """
        Those whose username, first or last name begins with ``prefix``, which is compared without case and taken
        literally.

        First those whose username is ``prefix``, then whose first name is, then whose last name is; after them those of
        whom the same begins with it, in the order of what was found. One person is found once.
        """
        ...


class Letters(Protocol):
    async def add(self, letter: Letter) -> None: ...

    async def lock_due(self, at: datetime, limit: int) -> Sequence[Letter]:
        """
        Locks letters that are due, the longest due first: one for each account, and none of an account to which a letter
        is being sent, so that many letters to one person delay nobody else's. Letters that another unit holds are left out.
        """
        ...

    async def lock(self, account_id: AccountId, letter_id: LetterId) -> Letter:
        """
        Raises:
            LetterNotFound: There is no such letter.
        """
        ...

    async def save(self, letter: Letter) -> None:
        """Stores a locked letter."""
        ...

    async def remove_settled(self, before: datetime) -> None:
        """Removes letters that were written before then and will not be tried again."""
        ...
