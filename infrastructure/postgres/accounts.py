"""Accounts, sessions, profiles and letters in PostgreSQL. Each repository uses the connection of a unit of work."""

from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from typing import Any, Final

from attrs import frozen
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Uuid,
    and_,
    any_,
    bindparam,
    delete,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on
from sqlalchemy.dialects.postgresql import insert as insert_or_not
from sqlalchemy.ext.asyncio import AsyncConnection

from application.paging import EventPlace, Page, Paging, PersonPlace, SessionPlace, page_of
from application.views import ProfileView
from domain.account import Account, AccountNotFound, Confirmation, Email, EmailTaken, PasswordHash
from domain.factor import SecondFactor
from domain.identifiers import folded
from domain.identity import Identity, IdentityTaken, Subject
from domain.ids import AccountId, ConfirmationId, LetterId, ProfileId, SessionId
from domain.notification import Letter, LetterNotFound, Outcome
from domain.passkey import Passkey
from domain.profile import Profile, ProfileNotFound, Username, UsernameTaken
from domain.security import AccountEvent, SecurityAct, most_failures
from domain.session import Fingerprint, Origin, Session, SessionNotFound
from infrastructure.postgres import account_rows as rows
from infrastructure.postgres.driver.unnest import beside_key
from infrastructure.postgres.schema.account_tables import (
    account,
    account_by_email,
    account_by_identity,
    account_event,
    confirmation,
    idempotency_key,
    identity,
    letter,
    passkey,
    profile,
    profile_by_username,
    profile_of_account,
    second_factor,
    session,
)

LETTERS_LOOKED_AT: Final = 1000
"""Among this many letters, those that have been due longest, the first letter of each account is looked for."""


@frozen
class PostgresAccounts:
    connection: AsyncConnection

    async def add(self, new: Account) -> None:
        # ON CONFLICT DO NOTHING, because a constraint violation would abort the transaction. The statement waits for an
        # uncommitted insert of the same address.
        taken = insert_or_not(account_by_email).on_conflict_do_nothing()
        result = await self.connection.execute(
            taken.values(email_folded=new.email.folded, account_id=new.id).returning(
                account_by_email.c.account_id
            )
        )
        if result.first() is None:
            raise EmailTaken
        await self.connection.execute(insert(account), rows.account_row(new))

    async def find_by_email(self, email: Email) -> Account | None:
        # One statement in either case, so that the duration does not reveal whether the account exists.
        former, present = email.spellings[0], email.folded
        found = await self.connection.execute(
            select(account)
            .join(account_by_email, account_by_email.c.account_id == account.c.account_id)
            .where(account_by_email.c.email_folded.in_((former, present)))
            .order_by((account_by_email.c.email_folded == former).desc())
            .limit(1)
        )
        row = found.mappings().one_or_none()
        return None if row is None else rows.account_from(row)

    async def page(self, after: str, limit: int) -> Sequence[tuple[str, Account]]:
        found = await self.connection.execute(
            select(account, account_by_email.c.email_folded)
            .join(account_by_email, account_by_email.c.account_id == account.c.account_id)
            .where(account_by_email.c.email_folded > after)
            .order_by(account_by_email.c.email_folded)
            .limit(limit)
        )
        return [(row["email_folded"], rows.account_from(row)) for row in found.mappings()]

    async def former_hash(self) -> PasswordHash | None:
        found = await self.connection.scalar(
            select(account.c.password_hash)
            # A literal, not a parameter, so that the partial index `ix_account_bcrypt` can be used.
            .where(account.c.password_hash.like(literal("$2%", literal_execute=True)))
            .order_by(account.c.account_id)
            .limit(1)
        )
        return None if found is None else PasswordHash(found)

    async def lock(self, account_id: AccountId) -> Account:
        found = await self.connection.execute(
            select(account).where(account.c.account_id == account_id).with_for_update(key_share=True)
        )
        row = found.mappings().one_or_none()
        if row is None:
            raise AccountNotFound
        return rows.account_from(row)

    async def save(self, changed: Account) -> None:
        await self.connection.execute(
            update(account)
            .where(account.c.account_id == changed.id)
            .values(beside_key(account, rows.account_row(changed)))
        )

    async def release_email(self, closed: Account) -> None:
        await self.connection.execute(
            delete(account_by_email).where(
                account_by_email.c.email_folded.in_(closed.email.spellings),
                account_by_email.c.account_id == closed.id,
            )
        )

    async def closed(self, limit: int, after: Account | None = None) -> Sequence[Account]:
        closed = select(account).where(account.c.closed_at.is_not(None))
        if after is not None:
            closed = closed.where(
                tuple_(account.c.closed_at, account.c.account_id) > tuple_(after.closed_at, after.id)
            )
        found = await self.connection.execute(
            closed.order_by(account.c.closed_at, account.c.account_id).limit(limit)
        )
        return [rows.account_from(row) for row in found.mappings()]

    async def remove(self, account_id: AccountId) -> None:
        for table in (
            session,
            account_event,
            letter,
            confirmation,
            second_factor,
            profile_of_account,
            idempotency_key,
            account,
        ):
            await self.connection.execute(delete(table).where(table.c.account_id == account_id))


@frozen
class PostgresConfirmations:
    connection: AsyncConnection

    async def add(self, new: Confirmation) -> bool:
        added = await self.connection.execute(
            insert_or_not(confirmation)
            .values(rows.confirmation_row(new))
            .on_conflict_do_nothing()
            .returning(confirmation.c.confirmation_id)
        )
        return added.first() is not None

    async def find(self, account_id: AccountId, confirmation_id: ConfirmationId) -> Confirmation | None:
        found = await self.connection.execute(
            select(confirmation).where(
                confirmation.c.account_id == account_id,
                confirmation.c.confirmation_id == confirmation_id,
            )
        )
        row = found.mappings().one_or_none()
        return None if row is None else rows.confirmation_from(row)

    async def void_all(self, account_id: AccountId) -> None:
        await self.connection.execute(delete(confirmation).where(confirmation.c.account_id == account_id))

    async def void_resets(self, account_id: AccountId) -> None:
        await self.connection.execute(
            delete(confirmation).where(
                confirmation.c.account_id == account_id, confirmation.c.password_hash.is_(None)
            )
        )

    async def remove_expired(self, at: datetime) -> None:
        await self.connection.execute(delete(confirmation).where(confirmation.c.expires_at <= at))


@frozen
class PostgresAccountEvents:
    connection: AsyncConnection
    pending: list[AccountEvent]

    async def add(self, event: AccountEvent, *, keep: int) -> None:
        await self.connection.execute(insert(account_event), rows.event_row(event))
        own = account_event.c.account_id == event.account_id
        if event.act is SecurityAct.SIGN_IN_FAILED:
            failed = account_event.c.act == SecurityAct.SIGN_IN_FAILED.value
            await self._keep_newest(most_failures(keep), own, failed)
        await self._keep_newest(keep, own)
        self.pending.append(event)

    async def _keep_newest(self, keep: int, *which: ColumnElement[bool]) -> None:
        place = (account_event.c.at, account_event.c.event_id)
        first_to_go = (
            select(*place).where(*which).order_by(*(each.desc() for each in place)).offset(keep).limit(1)
        )
        # Units of work that add to one account at once remove the same rows. None of them waits for another.
        going = (
            select(account_event.c.event_id)
            .where(*which, tuple_(*place) <= first_to_go.scalar_subquery())
            .with_for_update(skip_locked=True)
        )
        await self.connection.execute(
            delete(account_event).where(*which, account_event.c.event_id.in_(going))
        )

    async def page(self, account_id: AccountId, paging: Paging[EventPlace]) -> Page[AccountEvent, EventPlace]:
        place = (account_event.c.at, account_event.c.event_id)
        events = (
            select(account_event)
            .where(account_event.c.account_id == account_id)
            .order_by(*(each.desc() for each in place))
            .limit(paging.most)
            .offset(paging.skip)
        )
        if after := paging.after:
            events = events.where(tuple_(*place) < tuple_(after.at, after.id))
        found = [rows.event_from(row) for row in (await self.connection.execute(events)).mappings()]
        return page_of(found, paging.limit, lambda each: EventPlace(at=each.at, id=each.id))

    async def remove_older(self, before: datetime) -> None:
        await self.connection.execute(delete(account_event).where(account_event.c.at < before))


@frozen
class PostgresFactors:
    connection: AsyncConnection

    async def find(self, account_id: AccountId) -> SecondFactor | None:
        found = await self.connection.execute(
            select(second_factor).where(second_factor.c.account_id == account_id)
        )
        row = found.mappings().one_or_none()
        return None if row is None else rows.factor_from(row)

    async def save(self, factor: SecondFactor) -> None:
        row = rows.factor_row(factor)
        await self.connection.execute(
            insert_or_not(second_factor)
            .values(row)
            .on_conflict_do_update(
                index_elements=[second_factor.c.account_id], set_=beside_key(second_factor, row)
            )
        )

    async def remove(self, account_id: AccountId) -> None:
        await self.connection.execute(delete(second_factor).where(second_factor.c.account_id == account_id))


@frozen
class PostgresIdentities:
    connection: AsyncConnection

    async def find_account(self, subject: Subject) -> AccountId | None:
        found: AccountId | None = await self.connection.scalar(
            select(account_by_identity.c.account_id).where(*_is_of(account_by_identity, subject))
        )
        return found

    async def of(self, account_id: AccountId) -> Sequence[Identity]:
        found = await self.connection.execute(
            select(identity)
            .where(identity.c.account_id == account_id)
            .order_by(identity.c.linked_at, identity.c.identity_id)
        )
        return [rows.identity_from(row) for row in found.mappings()]

    async def add(self, new: Identity) -> None:
        # The statement waits for an uncommitted insert of the same identity, and does not abort the transaction.
        taken = insert_or_not(account_by_identity).on_conflict_do_nothing()
        result = await self.connection.execute(
            taken.values(
                issuer=new.subject.issuer, subject=new.subject.name, account_id=new.account_id
            ).returning(account_by_identity.c.account_id)
        )
        if result.first() is None:
            raise IdentityTaken
        await self.connection.execute(insert(identity), rows.identity_row(new))

    async def save(self, changed: Identity) -> None:
        await self.connection.execute(
            update(identity)
            .where(identity.c.account_id == changed.account_id, identity.c.identity_id == changed.id)
            .values(beside_key(identity, rows.identity_row(changed)))
        )

    async def remove(self, gone: Identity) -> None:
        await self.connection.execute(
            delete(account_by_identity).where(*_is_of(account_by_identity, gone.subject))
        )
        await self.connection.execute(
            delete(identity).where(
                identity.c.account_id == gone.account_id, identity.c.identity_id == gone.id
            )
        )


def _is_of(table: FromClause, subject: Subject) -> tuple[ColumnElement[bool], ...]:
    return table.c.issuer == subject.issuer, table.c.subject == subject.name


@frozen
class PostgresPasskeys:
    connection: AsyncConnection

    async def of(self, account_id: AccountId) -> Sequence[Passkey]:
        found = await self.connection.execute(
            select(passkey)
            .where(passkey.c.account_id == account_id)
            .order_by(passkey.c.created_at, passkey.c.passkey_id)
        )
        return [rows.passkey_from(row) for row in found.mappings()]

    async def save(self, changed: Passkey) -> None:
        row = rows.passkey_row(changed)
        await self.connection.execute(
            insert_or_not(passkey)
            .values(row)
            .on_conflict_do_update(
                index_elements=list(passkey.primary_key.columns), set_=beside_key(passkey, row)
            )
        )

    async def remove(self, gone: Passkey) -> None:
        await self.connection.execute(
            delete(passkey).where(passkey.c.account_id == gone.account_id, passkey.c.passkey_id == gone.id)
        )


@frozen
class PostgresSessions:
    connection: AsyncConnection

    async def add(self, new: Session) -> None:
        await self.connection.execute(insert(session), rows.session_row(new))

    async def lock(self, account_id: AccountId, session_id: SessionId) -> Session:
        found = await self.connection.execute(
            select(session)
            .where(session.c.account_id == account_id, session.c.session_id == session_id)
            .with_for_update(key_share=True)
        )
        row = found.mappings().one_or_none()
        if row is None:
            raise SessionNotFound
        return rows.session_from(row)

    async def lock_live(self, account_id: AccountId, fingerprint: Fingerprint) -> Session | None:
        found = await self.connection.execute(
            select(session)
            .where(
                session.c.account_id == account_id,
                session.c.fingerprint == fingerprint.text,
                session.c.ended_at.is_(None),
            )
            .with_for_update(key_share=True)
        )
        row = found.mappings().one_or_none()
        return None if row is None else rows.session_from(row)

    async def save(self, changed: Session) -> None:
        await self.connection.execute(
            update(session)
            .where(session.c.account_id == changed.account_id, session.c.session_id == changed.id)
            .values(beside_key(session, rows.session_row(changed)))
        )

    async def not_ended(self, account_id: AccountId) -> Sequence[Session]:
        found = await self.connection.execute(
            _not_ended(account_id).order_by(session.c.last_used_at.desc(), session.c.session_id.desc())
        )
        return [rows.session_from(row) for row in found.mappings()]

    async def page_of_live(
        self, account_id: AccountId, at: datetime, paging: Paging[SessionPlace]
    ) -> Page[Session, SessionPlace]:
        live = (
            _not_ended(account_id)
            .where(session.c.refresh_expires_at > at, session.c.scopes.is_(None))
            .order_by(session.c.created_at.desc(), session.c.session_id.desc())
            .limit(paging.most)
            .offset(paging.skip)
        )
        if after := paging.after:
            behind = tuple_(session.c.created_at, session.c.session_id) < tuple_(after.created_at, after.id)
            live = live.where(behind)
        found = [rows.session_from(row) for row in (await self.connection.execute(live)).mappings()]
        return page_of(found, paging.limit, lambda each: SessionPlace(created_at=each.created_at, id=each.id))

    async def lock_not_ended(self, account_id: AccountId) -> Sequence[Session]:
        found = await self.connection.execute(
            _not_ended(account_id).order_by(session.c.session_id).with_for_update(key_share=True)
        )
        return [rows.session_from(row) for row in found.mappings()]

    async def lock_oldest(self, account_id: AccountId, *, keep: int) -> Sequence[Session]:
        newest_first = session.c.created_at.desc(), session.c.session_id.desc()
        surplus = (
            select(session.c.session_id)
            .where(
                session.c.account_id == account_id,
                session.c.ended_at.is_(None),
                session.c.scopes.is_(None),
            )
            .order_by(*newest_first)
            .offset(keep)
        )
        # Others are left out: one that is being refreshed holds its session, and waits for nobody who holds the account.
        found = await self.connection.execute(
            _not_ended(account_id)
            .where(session.c.session_id.in_(surplus))
            .order_by(session.c.session_id)
            .with_for_update(key_share=True, skip_locked=True)
        )
        return [rows.session_from(row) for row in found.mappings()]

    async def lock_expired(self, at: datetime, limit: int) -> Sequence[Session]:
        found = await self.connection.execute(
            select(session)
            .where(session.c.ended_at.is_(None), session.c.refresh_expires_at <= at)
            .order_by(session.c.session_id)
            .limit(limit)
            .with_for_update(key_share=True, skip_locked=True)
        )
        return [rows.session_from(row) for row in found.mappings()]

    async def is_new_device(self, account_id: AccountId, fingerprint: Fingerprint, origin: Origin) -> bool:
        same = (
            session.c.fingerprint == fingerprint.text
            if fingerprint.is_set
            else session.c.user_agent.is_not_distinct_from(origin.user_agent)
        )
        # NULL if the account has no sessions to compare with: its first device does not count as new
        found = await self.connection.scalar(
            select(func.bool_or(same)).where(session.c.account_id == account_id)
        )
        return found is False

    async def knows_device(self, account_id: AccountId, fingerprint: Fingerprint) -> bool:
        known = select(session.c.session_id).where(
            session.c.account_id == account_id, session.c.fingerprint == fingerprint.text
        )
        return bool(await self.connection.scalar(select(known.exists()))) and fingerprint.is_set

    async def remove_ended(self, before: datetime) -> None:
        await self.connection.execute(delete(session).where(session.c.ended_at < before))


@frozen
class PostgresProfiles:
    connection: AsyncConnection

    async def add(self, new: Profile) -> None:
        await self.connection.execute(
            insert(profile_of_account), {"account_id": new.account_id, "profile_id": new.id}
        )
        await self.connection.execute(insert(profile), rows.profile_row(new))

    async def find_by_account(self, account_id: AccountId) -> ProfileId | None:
        found: ProfileId | None = await self.connection.scalar(
            select(profile_of_account.c.profile_id).where(profile_of_account.c.account_id == account_id)
        )
        return found

    async def find(self, profile_id: ProfileId) -> Profile | None:
        found = await self.connection.execute(select(profile).where(profile.c.profile_id == profile_id))
        row = found.mappings().one_or_none()
        return None if row is None else rows.profile_from(row)

    async def missing(self, profile_ids: Sequence[ProfileId]) -> Sequence[ProfileId]:
        found = await self.connection.scalars(select(profile.c.profile_id).where(_is_one_of(profile_ids)))
        known = set(found)
        return [profile_id for profile_id in profile_ids if profile_id not in known]

    async def views(self, profile_ids: Sequence[ProfileId]) -> Mapping[ProfileId, ProfileView]:
        found = await self.connection.execute(select(profile).where(_is_one_of(profile_ids)))
        shown = (ProfileView.of(rows.profile_from(row)) for row in found.mappings())
        return {view.id: view for view in shown}

    async def lock(self, profile_id: ProfileId) -> Profile:
        found = await self.connection.execute(
            select(profile).where(profile.c.profile_id == profile_id).with_for_update(key_share=True)
        )
        row = found.mappings().one_or_none()
        if row is None:
            raise ProfileNotFound
        return rows.profile_from(row)

    async def save(self, changed: Profile) -> None:
        former = await self.connection.scalar(
            select(profile.c.username).where(profile.c.profile_id == changed.id)
        )
        before, after = _claims(rows.kept(Username, former)), _claims(changed.username)
        # New claims are taken before old ones are released: two people who swap usernames are refused, without a deadlock.
        await self._take(after - before, changed.id)
        await self._release(before - after, changed.id)
        await self.connection.execute(
            update(profile)
            .where(profile.c.profile_id == changed.id)
            .values(beside_key(profile, rows.profile_row(changed)))
        )

    async def _take(self, claims: Set[str], profile_id: ProfileId) -> None:
        for claim in sorted(claims):
            await self.connection.execute(
                insert_or_not(profile_by_username)
                .values(username_folded=claim, profile_id=profile_id)
                .on_conflict_do_nothing()
            )
            holder = await self.connection.scalar(
                select(profile_by_username.c.profile_id).where(profile_by_username.c.username_folded == claim)
            )
            if holder != profile_id:
                raise UsernameTaken

    async def _release(self, claims: Set[str], profile_id: ProfileId) -> None:
        if claims:
            await self.connection.execute(
                delete(profile_by_username).where(
                    profile_by_username.c.username_folded.in_(sorted(claims)),
                    profile_by_username.c.profile_id == profile_id,
                )
            )

    async def remove(self, gone: Profile) -> None:
        await self._release(_claims(gone.username), gone.id)
        await self.connection.execute(delete(profile).where(profile.c.profile_id == gone.id))

    async def search(
        self, prefix: str, limit: int, after: PersonPlace | None = None
    ) -> Page[Profile, PersonPlace]:
        found = await self.connection.execute(people_found(folded(prefix), limit + 1, after))
        page = page_of(
            found.mappings().all(),
            limit,
            lambda row: PersonPlace(rank=row["rank"], text=row["text"], id=row["profile_id"]),
        )
        return Page([rows.profile_from(row) for row in page.items], page.next)


LAST_CHARACTER: Final = "\U0010ffff"

SEARCHED: Final = (profile.c.username_folded, profile.c.first_name_folded, profile.c.last_name_folded)


def people_found(wanted: str, most: int, after: PersonPlace | None) -> Select[Any]:
    """Selects up to ``most`` people after a place, in the order of `Profiles.search`, with the rank and name of each match."""
    ranks = [
        _found(rank, wanted, most, after)
        for rank in range(2 * len(SEARCHED))
        if after is None or rank >= after.rank
    ]
    every = union_all(*ranks).subquery("found")
    return (
        select(profile, every.c.rank, every.c.text)
        .join(every, every.c.profile_id == profile.c.profile_id)
        .order_by(every.c.rank, every.c.text, every.c.profile_id)
        .limit(most)
    )


def _found(rank: int, wanted: str, most: int, after: PersonPlace | None) -> Select[Any]:
    """
    Selects the people whose best match has exactly this rank. The index of the searched name has the same order, so the
    cost depends on ``most`` and not on the number of matches.
    """
    is_whole, name = rank < len(SEARCHED), SEARCHED[rank % len(SEARCHED)]
    better = [each.is_distinct_from(wanted) for each in (SEARCHED[:rank] if is_whole else SEARCHED)]
    if is_whole:
        found = [name == wanted]
    else:
        # names longer than the prefix sort after it, so this range skips exact matches without reading them
        found = _goes_on(name, wanted)
        better += [
            func.coalesce(each.startswith(wanted, autoescape=True), false()).is_(false())
            for each in SEARCHED[: rank - len(SEARCHED)]
        ]
    statement = select(profile.c.profile_id, literal(rank, Integer).label("rank"), name.label("text")).where(
        *found, *better
    )
    if after and after.rank == rank:
        statement = statement.where(tuple_(name, profile.c.profile_id) > tuple_(after.text, after.id))
    return select(statement.order_by(name, profile.c.profile_id).limit(most).subquery())


def _goes_on(name: ColumnElement[str], prefix: str) -> list[ColumnElement[bool]]:
    """
    Matches names that begin with the prefix and are longer. The explicit range lets a generic plan use the index; a LIKE
    pattern in a parameter would not.
    """
    return [name > prefix, name <= prefix + LAST_CHARACTER * 2, name.startswith(prefix, autoescape=True)]


def _claims(username: Username | None) -> frozenset[str]:
    return username.claims if username else frozenset()


def _not_ended(account_id: AccountId) -> Select[Any]:
    return select(session).where(session.c.account_id == account_id, session.c.ended_at.is_(None))


def _is_one_of(profile_ids: Sequence[ProfileId]) -> ColumnElement[bool]:
    # One array parameter: a list of parameters would make a new statement for each number of ids.
    return profile.c.profile_id == any_(bindparam("profile_ids", list(profile_ids), ARRAY(Uuid)))


def _is_prepared(letters: FromClause) -> ColumnElement[bool]:
    # A literal: a generic plan for any outcome could not use the partial index of waiting letters.
    return letters.c.outcome == literal(Outcome.PREPARED.value, literal_execute=True)


def _is_due(letters: FromClause, at: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        _is_prepared(letters),
        letters.c.next_attempt_at <= at,
        or_(letters.c.claimed_until.is_(None), letters.c.claimed_until <= at),
    )


@frozen
class PostgresLetters:
    connection: AsyncConnection

    async def add(self, new: Letter) -> None:
        await self.connection.execute(insert(letter), rows.letter_row(new))

    async def lock_due(self, at: datetime, limit: int) -> Sequence[Letter]:
        oldest = (
            select(letter.c.account_id, letter.c.letter_id, letter.c.next_attempt_at)
            .where(*_is_due(letter, at))
            .order_by(letter.c.next_attempt_at, letter.c.letter_id)
            .limit(LETTERS_LOOKED_AT)
            .cte("oldest")
        )
        first = (
            select(oldest)
            .ext(distinct_on(oldest.c.account_id))
            .order_by(oldest.c.account_id, oldest.c.next_attempt_at, oldest.c.letter_id)
            .cte("first_of_each")
        )
        other = letter.alias("other")
        # One primary key lookup for each letter. With NOT EXISTS and misleading statistics the planner could scan all
        # waiting letters for each of them.
        being_sent = (
            select(other.c.letter_id)
            .where(other.c.account_id == letter.c.account_id, _is_prepared(other), other.c.claimed_until > at)
            .order_by(other.c.account_id, other.c.letter_id)
            .limit(1)
            .scalar_subquery()
        )
        found = await self.connection.execute(
            select(letter)
            .join(
                first,
                and_(first.c.account_id == letter.c.account_id, first.c.letter_id == letter.c.letter_id),
            )
            # The conditions are repeated because PostgreSQL checks them again once the row is locked.
            .where(*_is_due(letter, at), being_sent.is_(None))
            .order_by(letter.c.next_attempt_at, letter.c.letter_id)
            .limit(limit)
            .with_for_update(of=letter, key_share=True, skip_locked=True)
        )
        return [rows.letter_from(row) for row in found.mappings()]

    async def lock(self, account_id: AccountId, letter_id: LetterId) -> Letter:
        found = await self.connection.execute(
            select(letter)
            .where(letter.c.account_id == account_id, letter.c.letter_id == letter_id)
            .with_for_update(key_share=True)
        )
        row = found.mappings().one_or_none()
        if row is None:
            raise LetterNotFound
        return rows.letter_from(row)

    async def save(self, changed: Letter) -> None:
        await self.connection.execute(
            update(letter)
            .where(letter.c.account_id == changed.account_id, letter.c.letter_id == changed.id)
            .values(beside_key(letter, rows.letter_row(changed)))
        )

    async def remove_settled(self, before: datetime) -> None:
        await self.connection.execute(
            delete(letter).where(letter.c.outcome != Outcome.PREPARED, letter.c.created_at < before)
        )
