"""What goes into a row of accounts and what belongs to them comes out again, equal in every field."""

from datetime import UTC
from typing import Any
from uuid import UUID

from attrs import asdict
from hypothesis import given
from hypothesis import strategies as st

from domain.account import Account, Confirmation, Email, PasswordHash
from domain.events import SessionEnd
from domain.factor import RecoveryDigest, SealedSecret, SecondFactor
from domain.identity import Identity, Subject
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
from domain.notification import Letter, Link, Outcome, Template
from domain.passkey import Passkey, PasskeyName
from domain.profile import Name, Phone, Profile, Username
from domain.scope import Grant, Scope, TokenName
from domain.security import AccountEvent, SecurityAct
from domain.session import Fingerprint, Origin, Pair, Session
from infrastructure.postgres import account_rows as rows

moments = st.datetimes(timezones=st.just(UTC))
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
visible = st.text("abcЖё%_'\\", min_size=3, max_size=20)
account_ids = st.builds(AccountId, st.uuids())
profile_ids = st.builds(ProfileId, st.uuids())
confirmation_ids = st.builds(ConfirmationId, st.uuids())
emails = visible.map(lambda local: Email(f"{local}@Example.com"))
hashes = st.builds(PasswordHash, texts)
accounts = st.builds(
    Account,
    id=account_ids,
    email=emails,
    password_hash=st.none() | hashes,
    created_at=moments,
    confirmed_at=st.none() | moments,
    closed_at=st.none() | moments,
)
confirmations = st.builds(
    Confirmation,
    id=confirmation_ids,
    account_id=account_ids,
    email=emails,
    password_hash=st.none() | hashes,
    issued_at=moments,
    expires_at=moments,
)
identities = st.builds(
    Identity,
    id=st.uuids().map(IdentityId),
    account_id=account_ids,
    subject=st.builds(Subject, st.text(), st.text()),
    email=st.none() | st.text(),
    linked_at=moments,
    last_used_at=st.none() | moments,
)

passkeys = st.builds(
    Passkey,
    id=st.uuids().map(PasskeyId),
    account_id=account_ids,
    credential_id=st.text(),
    public_key=st.binary(),
    name=st.builds(PasskeyName, texts.filter(str.strip).filter(str.isprintable)),
    uses=st.integers(0, 2**32 - 1),
    is_backed_up=st.booleans(),
    created_at=moments,
    last_used_at=st.none() | moments,
)

factors = st.builds(
    SecondFactor,
    account_id=account_ids,
    secret=st.builds(SealedSecret, texts),
    begun_at=moments,
    confirmed_at=st.none() | moments,
    last_step=st.integers(0, 2**40),
    recovery=st.frozensets(st.builds(RecoveryDigest, texts)),
)
origins = st.builds(Origin, user_agent=st.none() | texts, address=st.none() | texts)
pairs = st.builds(
    Pair,
    access_id=texts,
    refresh_id=texts,
    issued_at=moments,
    access_expires_at=moments,
    refresh_expires_at=moments,
)
grants = st.builds(
    Grant,
    name=st.builds(TokenName, st.text("abcЖё -", min_size=1, max_size=60).filter(str.strip)),
    scopes=st.frozensets(st.sampled_from(Scope)),
)
sessions = st.builds(
    Session,
    id=st.builds(SessionId, st.uuids()),
    account_id=account_ids,
    profile_id=profile_ids,
    fingerprint=st.builds(Fingerprint, st.none() | texts),
    origin=origins,
    pair=pairs,
    previous_refresh_id=st.none() | texts,
    rotated_at=st.none() | moments,
    created_at=moments,
    last_used_at=moments,
    ended_at=st.none() | moments,
    ended_because=st.none() | st.sampled_from(SessionEnd),
    grant=st.none() | grants,
)
letters = st.builds(
    Letter,
    id=st.builds(LetterId, st.uuids()),
    account_id=account_ids,
    template=st.sampled_from(Template),
    recipient=emails,
    link=st.none() | st.builds(Link, confirmation_id=confirmation_ids, issued_at=moments, expires_at=moments),
    origin=origins,
    created_at=moments,
    next_attempt_at=moments,
    attempts=st.integers(0, 1000),
    claimed_until=st.none() | moments,
    outcome=st.sampled_from(Outcome),
    reason=st.none() | texts,
)
names = st.none() | st.builds(Name, visible)
profiles = st.builds(
    Profile,
    id=profile_ids,
    account_id=account_ids,
    first_name=names,
    last_name=names,
    middle_name=names,
    username=st.none() | st.builds(Username, st.text("abcZ0._-", min_size=3, max_size=20)),
    phone=st.none() | st.just(Phone("+79991234567")),
)


@given(accounts)
def test_accounts(account: Account) -> None:
    assert asdict(rows.account_from(rows.account_row(account))) == asdict(account)


@given(confirmations)
def test_confirmations(confirmation: Confirmation) -> None:
    assert rows.confirmation_from(rows.confirmation_row(confirmation)) == confirmation


@given(identities)
def test_identities(identity: Identity) -> None:
    read = rows.identity_from(rows.identity_row(identity))
    assert asdict(read, recurse=False) == asdict(identity, recurse=False)


@given(passkeys)
def test_passkeys(passkey: Passkey) -> None:
    read = rows.passkey_from(rows.passkey_row(passkey))
    assert asdict(read, recurse=False) == asdict(passkey, recurse=False)


@given(factors)
def test_second_factors(factor: SecondFactor) -> None:
    read = rows.factor_from(rows.factor_row(factor))
    assert asdict(read, recurse=False) == asdict(factor, recurse=False)


@given(sessions)
def test_sessions(session: Session) -> None:
    read = rows.session_from(rows.session_row(session))
    assert asdict(read, recurse=False) == asdict(session, recurse=False)


@given(letters)
def test_letters(letter: Letter) -> None:
    assert asdict(rows.letter_from(rows.letter_row(letter))) == asdict(letter)


@given(profiles)
def test_profiles(profile: Profile) -> None:
    assert asdict(rows.profile_from(rows.profile_row(profile))) == asdict(profile)


def test_what_was_once_accepted_stays_readable() -> None:
    row = rows.profile_row(Profile(id=ProfileId(UUID(int=1)), account_id=AccountId(UUID(int=2))))
    profile = rows.profile_from(row | {"username": "я", "phone": "8 (999) 123-45-67", "first_name": ""})
    assert profile.username is not None
    assert profile.username.text == "я"


@given(
    st.builds(
        AccountEvent,
        id=st.builds(EventId, st.uuids()),
        account_id=account_ids,
        act=st.sampled_from(SecurityAct),
        at=moments,
        session_id=st.none() | st.builds(SessionId, st.uuids()),
        origin=origins,
    )
)
def test_events(event: AccountEvent) -> None:
    row: Any = rows.event_row(event)
    assert rows.event_from(row) == event
