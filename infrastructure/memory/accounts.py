"""Accounts and what belongs to them, in memory."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from attrs import define, field

from application.paging import EventPlace, Page, Paging, PersonPlace, SessionPlace, page_of
from application.ports.keys import KeyOwner, KeyUse
from application.views import ProfileView
from domain.account import Account, AccountNotFound, Confirmation, Email, EmailTaken, PasswordHash
from domain.factor import SecondFactor
from domain.identifiers import folded
from domain.identity import Identity, IdentityTaken, Subject
from domain.ids import (
    AccountId,
    ConfirmationId,
    EventId,
    IdentityId,
    LetterId,
    PasskeyId,
    ProfileId,
    SessionId,
)
from domain.message import Nonce
from domain.notification import Letter, LetterNotFound, Outcome
from domain.passkey import Passkey
from domain.profile import Profile, ProfileNotFound, UsernameTaken
from domain.security import AccountEvent, SecurityAct, most_failures
from domain.session import Fingerprint, Origin, Session, SessionNotFound
from infrastructure.memory.table import Table

K = TypeVar("K")
V = TypeVar("V")


@define
class AccountState:
    """The committed state."""

    accounts: dict[AccountId, Account] = field(factory=dict)
    account_by_email: dict[str, AccountId] = field(factory=dict)
    confirmations: dict[tuple[AccountId, ConfirmationId], Confirmation] = field(factory=dict)
    factors: dict[AccountId, SecondFactor] = field(factory=dict)
    identities: dict[tuple[AccountId, IdentityId], Identity] = field(factory=dict)
    account_by_identity: dict[Subject, AccountId] = field(factory=dict)
    passkeys: dict[tuple[AccountId, PasskeyId], Passkey] = field(factory=dict)
    sessions: dict[tuple[AccountId, SessionId], Session] = field(factory=dict)
    live_sessions: dict[tuple[AccountId, str], SessionId] = field(factory=dict)
    events: dict[tuple[AccountId, EventId], AccountEvent] = field(factory=dict)
    letters: dict[tuple[AccountId, LetterId], Letter] = field(factory=dict)
    profiles: dict[ProfileId, Profile] = field(factory=dict)
    profile_of_account: dict[AccountId, ProfileId] = field(factory=dict)
    profile_by_username: dict[str, ProfileId] = field(factory=dict)
    keys: dict[tuple[KeyOwner, Nonce], KeyUse] = field(factory=dict)


class AccountTables:
    """The tables as one unit of work sees them."""

    def __init__(self, state: AccountState) -> None:
        self.accounts = Table(state.accounts)
        self.account_by_email = Table(state.account_by_email)
        self.confirmations = Table(state.confirmations)
        self.factors = Table(state.factors)
        self.identities = Table(state.identities)
        self.account_by_identity = Table(state.account_by_identity)
        self.passkeys = Table(state.passkeys)
        self.sessions = Table(state.sessions)
        self.live_sessions = Table(state.live_sessions)
        self.events = Table(state.events)
        self.letters = Table(state.letters)
        self.profiles = Table(state.profiles)
        self.profile_of_account = Table(state.profile_of_account)
        self.profile_by_username = Table(state.profile_by_username)
        self.keys = Table(state.keys)

    def apply(self) -> None:
        self.accounts.apply()
        self.account_by_email.apply()
        self.confirmations.apply()
        self.factors.apply()
        self.identities.apply()
        self.account_by_identity.apply()
        self.passkeys.apply()
        self.sessions.apply()
        self.live_sessions.apply()
        self.events.apply()
        self.letters.apply()
        self.profiles.apply()
        self.profile_of_account.apply()
        self.profile_by_username.apply()
        self.keys.apply()


class Work(Protocol):
    """The part of a unit of work that these adapters use."""

    @property
    def accounts_state(self) -> AccountTables: ...

    async def hold(self, key: Hashable) -> None:
        """Waits for ``key`` and holds it until the unit ends. A unit may hold a key repeatedly."""
        ...

    def is_busy(self, key: Hashable) -> bool:
        """Whether another unit holds ``key``, so that `hold` would wait."""
        ...


@define
class MemoryAccounts:
    work: Work

    async def add(self, account: Account) -> None:
        tables = self.work.accounts_state
        await self.work.hold(("email", account.email.folded))
        if account.email.folded in tables.account_by_email:
            raise EmailTaken
        tables.account_by_email[account.email.folded] = account.id
        tables.accounts[account.id] = account

    async def find_by_email(self, email: Email) -> Account | None:
        tables = self.work.accounts_state
        found = (tables.account_by_email.get(spelling) for spelling in email.spellings)
        account_id = next((account_id for account_id in found if account_id), None)
        return tables.accounts.get(account_id) if account_id else None

    async def page(self, after: str, limit: int) -> Sequence[tuple[str, Account]]:
        tables = self.work.accounts_state
        behind = sorted((email, id) for email, id in tables.account_by_email.items() if email > after)
        found = ((email, tables.accounts.get(id)) for email, id in behind[:limit])
        return [(email, account) for email, account in found if account]

    async def former_hash(self) -> PasswordHash | None:
        hashes = (each.password_hash for each in self.work.accounts_state.accounts.values())
        return next((each for each in hashes if each and each.text.startswith("$2")), None)

    async def lock(self, account_id: AccountId) -> Account:
        await self.work.hold(("account", account_id))
        account = self.work.accounts_state.accounts.get(account_id)
        if account is None:
            raise AccountNotFound
        return account

    async def save(self, account: Account) -> None:
        self.work.accounts_state.accounts[account.id] = account

    async def release_email(self, account: Account) -> None:
        by_email = self.work.accounts_state.account_by_email
        for spelling in account.email.spellings:
            if by_email.get(spelling) == account.id:
                del by_email[spelling]

    async def closed(self, limit: int, after: Account | None = None) -> Sequence[Account]:
        found = [
            (each.closed_at, each.id, each)
            for each in self.work.accounts_state.accounts.values()
            if each.closed_at and (after is None or _closing(each) > _closing(after))
        ]
        return [account for *_, account in sorted(found, key=lambda each: each[:2])[:limit]]

    async def remove(self, account_id: AccountId) -> None:
        tables = self.work.accounts_state
        for of, session_id in tables.sessions:
            if of == account_id:
                del tables.sessions[of, session_id]
        for of, event_id in tables.events:
            if of == account_id:
                del tables.events[of, event_id]
        for of, letter_id in tables.letters:
            if of == account_id:
                del tables.letters[of, letter_id]
        for of, confirmation_id in tables.confirmations:
            if of == account_id:
                del tables.confirmations[of, confirmation_id]
        if account_id in tables.factors:
            del tables.factors[account_id]
        if account_id in tables.profile_of_account:
            del tables.profile_of_account[account_id]
        for owner_id, key in tables.keys:
            if owner_id == account_id:
                del tables.keys[owner_id, key]
        del tables.accounts[account_id]


def _belonging(table: Table[tuple[AccountId, K], V], account_id: AccountId) -> list[V]:
    """Return the values of one account, whose id their keys begin with."""
    own = (table.get(key) for key in table if key[0] == account_id)
    return [each for each in own if each is not None]


def _closing(account: Account) -> tuple[datetime | None, AccountId]:
    return account.closed_at, account.id


@define
class MemoryConfirmations:
    work: Work

    async def add(self, confirmation: Confirmation) -> bool:
        key = (confirmation.account_id, confirmation.id)
        await self.work.hold(("confirmation", *key))
        confirmations = self.work.accounts_state.confirmations
        if key in confirmations:
            return False
        confirmations[key] = confirmation
        return True

    async def find(self, account_id: AccountId, confirmation_id: ConfirmationId) -> Confirmation | None:
        return self.work.accounts_state.confirmations.get((account_id, confirmation_id))

    async def void_all(self, account_id: AccountId) -> None:
        self._remove(_belonging(self.work.accounts_state.confirmations, account_id))

    async def void_resets(self, account_id: AccountId) -> None:
        own = _belonging(self.work.accounts_state.confirmations, account_id)
        self._remove(each for each in own if each.password_hash is None)

    async def remove_expired(self, at: datetime) -> None:
        confirmations = self.work.accounts_state.confirmations.values()
        self._remove(each for each in confirmations if each.expires_at <= at)

    def _remove(self, confirmations: Iterable[Confirmation]) -> None:
        for each in confirmations:
            del self.work.accounts_state.confirmations[each.account_id, each.id]


@define
class MemoryAccountEvents:
    work: Work
    pending: list[AccountEvent]

    async def add(self, event: AccountEvent, *, keep: int) -> None:
        events = self.work.accounts_state.events
        events[event.account_id, event.id] = event
        failures = [each for each in self._of(event.account_id) if each.act is SecurityAct.SIGN_IN_FAILED]
        for old in failures[most_failures(keep) :]:
            del events[old.account_id, old.id]
        for old in self._of(event.account_id)[keep:]:
            del events[old.account_id, old.id]
        self.pending.append(event)

    async def page(self, account_id: AccountId, paging: Paging[EventPlace]) -> Page[AccountEvent, EventPlace]:
        after = paging.after
        found = [
            each for each in self._of(account_id) if after is None or _moment(each) < (after.at, after.id)
        ]
        return page_of(paging.part_of(found), paging.limit, lambda each: EventPlace(at=each.at, id=each.id))

    async def remove_older(self, before: datetime) -> None:
        events = self.work.accounts_state.events
        for each in events.values():
            if each.at < before:
                del events[each.account_id, each.id]

    def _of(self, account_id: AccountId) -> Sequence[AccountEvent]:
        """The newest first."""
        return sorted(_belonging(self.work.accounts_state.events, account_id), key=_moment, reverse=True)


def _moment(event: AccountEvent) -> tuple[datetime, EventId]:
    return event.at, event.id


@define
class MemoryFactors:
    work: Work

    async def find(self, account_id: AccountId) -> SecondFactor | None:
        return self.work.accounts_state.factors.get(account_id)

    async def save(self, factor: SecondFactor) -> None:
        self.work.accounts_state.factors[factor.account_id] = factor

    async def remove(self, account_id: AccountId) -> None:
        factors = self.work.accounts_state.factors
        if account_id in factors:
            del factors[account_id]


@define
class MemoryIdentities:
    work: Work

    async def find_account(self, subject: Subject) -> AccountId | None:
        return self.work.accounts_state.account_by_identity.get(subject)

    async def of(self, account_id: AccountId) -> Sequence[Identity]:
        own = (each for each in self.work.accounts_state.identities.values() if each.account_id == account_id)
        return sorted(own, key=lambda each: (each.linked_at, each.id))

    async def add(self, identity: Identity) -> None:
        tables = self.work.accounts_state
        await self.work.hold(("identity", identity.subject))
        if identity.subject in tables.account_by_identity:
            raise IdentityTaken
        tables.account_by_identity[identity.subject] = identity.account_id
        tables.identities[identity.account_id, identity.id] = identity

    async def save(self, identity: Identity) -> None:
        self.work.accounts_state.identities[identity.account_id, identity.id] = identity

    async def remove(self, identity: Identity) -> None:
        tables = self.work.accounts_state
        del tables.account_by_identity[identity.subject]
        del tables.identities[identity.account_id, identity.id]


@define
class MemoryPasskeys:
    work: Work

    async def of(self, account_id: AccountId) -> Sequence[Passkey]:
        own = (each for each in self.work.accounts_state.passkeys.values() if each.account_id == account_id)
        return sorted(own, key=lambda each: (each.created_at, each.id))

    async def save(self, passkey: Passkey) -> None:
        self.work.accounts_state.passkeys[passkey.account_id, passkey.id] = passkey

    async def remove(self, passkey: Passkey) -> None:
        del self.work.accounts_state.passkeys[passkey.account_id, passkey.id]


@define
class MemorySessions:
    work: Work

    async def add(self, session: Session) -> None:
        tables = self.work.accounts_state
        device = (session.account_id, session.fingerprint.text)
        if device in tables.live_sessions:
            raise AssertionError("a second live session of one device")
        tables.live_sessions[device] = session.id
        tables.sessions[session.account_id, session.id] = session

    async def lock(self, account_id: AccountId, session_id: SessionId) -> Session:
        await self.work.hold(("session", account_id, session_id))
        session = self.work.accounts_state.sessions.get((account_id, session_id))
        if session is None:
            raise SessionNotFound
        return session

    async def lock_live(self, account_id: AccountId, fingerprint: Fingerprint) -> Session | None:
        session_id = self.work.accounts_state.live_sessions.get((account_id, fingerprint.text))
        if session_id is None:
            return None
        session = await self.lock(account_id, session_id)
        return session if session.ended_at is None else None

    async def save(self, session: Session) -> None:
        tables = self.work.accounts_state
        tables.sessions[session.account_id, session.id] = session
        device = (session.account_id, session.fingerprint.text)
        if session.ended_at is not None and tables.live_sessions.get(device) == session.id:
            del tables.live_sessions[device]

    async def not_ended(self, account_id: AccountId) -> Sequence[Session]:
        found = [session for session in self._of(account_id) if session.ended_at is None]
        return sorted(found, key=lambda session: (session.last_used_at, session.id), reverse=True)

    async def page_of_live(
        self, account_id: AccountId, at: datetime, paging: Paging[SessionPlace]
    ) -> Page[Session, SessionPlace]:
        found = sorted(
            (session for session in self._of(account_id) if session.is_live(at) and not session.grant),
            key=lambda session: (session.created_at, session.id),
            reverse=True,
        )
        if after := paging.after:
            found = [each for each in found if (each.created_at, each.id) < (after.created_at, after.id)]
        return page_of(
            paging.part_of(found),
            paging.limit,
            lambda each: SessionPlace(created_at=each.created_at, id=each.id),
        )

    async def lock_not_ended(self, account_id: AccountId) -> Sequence[Session]:
        found = [session for session in self._of(account_id) if session.ended_at is None]
        held = [
            await self.lock(account_id, session.id) for session in sorted(found, key=lambda each: each.id)
        ]
        return [session for session in held if session.ended_at is None]

    async def lock_oldest(self, account_id: AccountId, *, keep: int) -> Sequence[Session]:
        live = [session for session in self._of(account_id) if session.ended_at is None and not session.grant]
        live.sort(key=lambda each: (each.created_at, each.id), reverse=True)
        surplus = [each for each in live[keep:] if not self.work.is_busy(("session", account_id, each.id))]
        return [
            await self.lock(account_id, session.id) for session in sorted(surplus, key=lambda each: each.id)
        ]

    async def lock_expired(self, at: datetime, limit: int) -> Sequence[Session]:
        found = self._where(
            lambda session: (
                session.ended_at is None
                and session.pair.refresh_expires_at <= at
                and not self.work.is_busy(("session", session.account_id, session.id))
            )
        )
        first = sorted(found, key=lambda each: each.id)[:limit]
        return [await self.lock(session.account_id, session.id) for session in first]

    async def is_new_device(self, account_id: AccountId, fingerprint: Fingerprint, origin: Origin) -> bool:
        known = self._of(account_id)
        if fingerprint.is_set:
            return bool(known) and all(session.fingerprint != fingerprint for session in known)
        return bool(known) and all(session.origin.user_agent != origin.user_agent for session in known)

    async def knows_device(self, account_id: AccountId, fingerprint: Fingerprint) -> bool:
        return fingerprint.is_set and any(each.fingerprint == fingerprint for each in self._of(account_id))

    async def remove_ended(self, before: datetime) -> None:
        for session in self._where(
            lambda session: session.ended_at is not None and session.ended_at < before
        ):
            del self.work.accounts_state.sessions[session.account_id, session.id]

    def _of(self, account_id: AccountId) -> list[Session]:
        return _belonging(self.work.accounts_state.sessions, account_id)

    def _where(self, condition: Callable[[Session], bool]) -> list[Session]:
        return [session for session in self.work.accounts_state.sessions.values() if condition(session)]


@define
class MemoryProfiles:
    work: Work

    async def add(self, profile: Profile) -> None:
        tables = self.work.accounts_state
        tables.profile_of_account[profile.account_id] = profile.id
        tables.profiles[profile.id] = profile

    async def find_by_account(self, account_id: AccountId) -> ProfileId | None:
        return self.work.accounts_state.profile_of_account.get(account_id)

    async def find(self, profile_id: ProfileId) -> Profile | None:
        return self.work.accounts_state.profiles.get(profile_id)

    async def missing(self, profile_ids: Sequence[ProfileId]) -> Sequence[ProfileId]:
        profiles = self.work.accounts_state.profiles
        return [profile_id for profile_id in profile_ids if profile_id not in profiles]

    async def views(self, profile_ids: Sequence[ProfileId]) -> Mapping[ProfileId, ProfileView]:
        profiles = self.work.accounts_state.profiles
        found = (profiles.get(profile_id) for profile_id in profile_ids)
        return {profile.id: ProfileView.of(profile) for profile in found if profile}

    async def lock(self, profile_id: ProfileId) -> Profile:
        await self.work.hold(("profile", profile_id))
        profile = self.work.accounts_state.profiles.get(profile_id)
        if profile is None:
            raise ProfileNotFound
        return profile

    async def save(self, profile: Profile) -> None:
        tables = self.work.accounts_state
        former = tables.profiles.get(profile.id)
        before, after = _claims(former), _claims(profile)
        for claim in sorted(after - before):
            await self.work.hold(("username", claim))
            if tables.profile_by_username.get(claim) not in (None, profile.id):
                raise UsernameTaken
            tables.profile_by_username[claim] = profile.id
        self._release(profile.id, before - after)
        tables.profiles[profile.id] = profile

    async def remove(self, profile: Profile) -> None:
        tables = self.work.accounts_state
        self._release(profile.id, _claims(profile))
        del tables.profiles[profile.id]

    def _release(self, profile_id: ProfileId, claims: Iterable[str]) -> None:
        taken = self.work.accounts_state.profile_by_username
        for claim in claims:
            if taken.get(claim) == profile_id:
                del taken[claim]

    async def search(
        self, prefix: str, limit: int, after: PersonPlace | None = None
    ) -> Page[Profile, PersonPlace]:
        wanted = folded(prefix)
        found = sorted(
            (
                (*match, profile.id, profile)
                for profile in self.work.accounts_state.profiles.values()
                if (match := _match(profile, wanted))
            ),
            key=lambda each: each[:3],
        )
        if after:
            found = [each for each in found if each[:3] > (after.rank, after.text, after.id)]
        page = page_of(
            found[: limit + 1], limit, lambda each: PersonPlace(rank=each[0], text=each[1], id=each[2])
        )
        return Page([profile for *_, profile in page.items], page.next)


def _claims(profile: Profile | None) -> frozenset[str]:
    return profile.username.claims if profile and profile.username else frozenset()


def _match(profile: Profile, wanted: str) -> tuple[int, str] | None:
    """The rank of a profile in a search, 0 being the best, and the name that matched; None if none did."""
    names = [
        folded(name.text) if name else ""
        for name in (profile.username, profile.first_name, profile.last_name)
    ]
    whole = [(rank, name) for rank, name in enumerate(names) if name == wanted]
    begun = [(rank, name) for rank, name in enumerate(names, start=len(names)) if name.startswith(wanted)]
    return next(iter(whole + begun), None)


@define
class MemoryLetters:
    work: Work

    async def add(self, letter: Letter) -> None:
        self.work.accounts_state.letters[letter.account_id, letter.id] = letter

    async def lock_due(self, at: datetime, limit: int) -> Sequence[Letter]:
        letters = self.work.accounts_state.letters
        due = sorted(
            (letter for letter in letters.values() if letter.is_due(at)),
            key=lambda letter: (letter.next_attempt_at, letter.id),
        )
        busy = {letter.account_id for letter in letters.values() if letter.is_being_sent(at)}
        first = {letter.account_id: letter for letter in reversed(due) if letter.account_id not in busy}
        free = [letter for letter in due if first.get(letter.account_id) is letter]
        locked = [letter for letter in free if not self.work.is_busy(_key(letter))][:limit]
        for letter in locked:
            await self.work.hold(_key(letter))
        return locked

    async def lock(self, account_id: AccountId, letter_id: LetterId) -> Letter:
        await self.work.hold(("letter", account_id, letter_id))
        letter = self.work.accounts_state.letters.get((account_id, letter_id))
        if letter is None:
            raise LetterNotFound
        return letter

    async def save(self, letter: Letter) -> None:
        self.work.accounts_state.letters[letter.account_id, letter.id] = letter

    async def remove_settled(self, before: datetime) -> None:
        letters = self.work.accounts_state.letters
        for letter in letters.values():
            if letter.outcome is not Outcome.PREPARED and letter.created_at < before:
                del letters[letter.account_id, letter.id]


def _key(letter: Letter) -> Hashable:
    return ("letter", letter.account_id, letter.id)
