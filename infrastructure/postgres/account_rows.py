"""Converts accounts and what belongs to them to rows and back. A property test checks that each pair is a round trip."""

from typing import Any, TypeVar

from domain.account import Account, Confirmation, Email, PasswordHash
from domain.events import SessionEnd
from domain.factor import RecoveryDigest, SealedSecret, SecondFactor
from domain.identifiers import folded
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
from domain.scope import Grant
from domain.security import AccountEvent, SecurityAct
from domain.session import Fingerprint, Origin, Pair, Session
from infrastructure.postgres.driver.reads import Row

V = TypeVar("V", Name, Username, Phone)


def kept(kind: type[V], text: str | None) -> V | None:
    """Rebuilds a value without validation: what is stored stays readable when the rules for new values change."""
    if text is None:
        return None
    value = kind.__new__(kind)
    object.__setattr__(value, "text", text)
    return value


def account_row(account: Account) -> dict[str, Any]:
    return {
        "account_id": account.id,
        "email": account.email.text,
        "password_hash": account.password_hash.text if account.password_hash else None,
        "created_at": account.created_at,
        "confirmed_at": account.confirmed_at,
        "closed_at": account.closed_at,
        "disabled_at": account.disabled_at,
    }


def account_from(row: Row) -> Account:
    password_hash = row["password_hash"]
    return Account(
        id=AccountId(row["account_id"]),
        email=Email(row["email"]),
        password_hash=None if password_hash is None else PasswordHash(password_hash),
        created_at=row["created_at"],
        confirmed_at=row["confirmed_at"],
        closed_at=row["closed_at"],
        disabled_at=row["disabled_at"],
    )


def confirmation_row(confirmation: Confirmation) -> dict[str, Any]:
    return {
        "account_id": confirmation.account_id,
        "confirmation_id": confirmation.id,
        "email": confirmation.email.text,
        "password_hash": confirmation.password_hash.text if confirmation.password_hash else None,
        "issued_at": confirmation.issued_at,
        "expires_at": confirmation.expires_at,
    }


def confirmation_from(row: Row) -> Confirmation:
    password_hash = row["password_hash"]
    return Confirmation(
        id=ConfirmationId(row["confirmation_id"]),
        account_id=AccountId(row["account_id"]),
        email=Email(row["email"]),
        password_hash=None if password_hash is None else PasswordHash(password_hash),
        issued_at=row["issued_at"],
        expires_at=row["expires_at"],
    )


def event_row(event: AccountEvent) -> dict[str, Any]:
    return {
        "account_id": event.account_id,
        "event_id": event.id,
        "act": event.act.value,
        "at": event.at,
        "session_id": event.session_id,
        "user_agent": event.origin.user_agent,
        "address": event.origin.address,
    }


def event_from(row: Row) -> AccountEvent:
    session_id = row["session_id"]
    return AccountEvent(
        account_id=AccountId(row["account_id"]),
        id=EventId(row["event_id"]),
        act=SecurityAct(row["act"]),
        at=row["at"],
        session_id=None if session_id is None else SessionId(session_id),
        origin=Origin(user_agent=row["user_agent"], address=row["address"]),
    )


def factor_row(factor: SecondFactor) -> dict[str, Any]:
    return {
        "account_id": factor.account_id,
        "secret": factor.secret.text,
        "begun_at": factor.begun_at,
        "confirmed_at": factor.confirmed_at,
        "last_step": factor.last_step,
        "recovery": sorted(digest.text for digest in factor.recovery),
    }


def factor_from(row: Row) -> SecondFactor:
    return SecondFactor(
        account_id=AccountId(row["account_id"]),
        secret=SealedSecret(row["secret"]),
        begun_at=row["begun_at"],
        confirmed_at=row["confirmed_at"],
        last_step=row["last_step"],
        recovery=frozenset(map(RecoveryDigest, row["recovery"])),
    )


def identity_row(identity: Identity) -> dict[str, Any]:
    return {
        "account_id": identity.account_id,
        "identity_id": identity.id,
        "issuer": identity.subject.issuer,
        "subject": identity.subject.name,
        "email": identity.email,
        "linked_at": identity.linked_at,
        "last_used_at": identity.last_used_at,
    }


def identity_from(row: Row) -> Identity:
    return Identity(
        account_id=AccountId(row["account_id"]),
        id=IdentityId(row["identity_id"]),
        subject=Subject(row["issuer"], row["subject"]),
        email=row["email"],
        linked_at=row["linked_at"],
        last_used_at=row["last_used_at"],
    )


def passkey_row(passkey: Passkey) -> dict[str, Any]:
    return {
        "account_id": passkey.account_id,
        "passkey_id": passkey.id,
        "credential_id": passkey.credential_id,
        "public_key": passkey.public_key,
        "name": passkey.name.text,
        "uses": passkey.uses,
        "is_backed_up": passkey.is_backed_up,
        "created_at": passkey.created_at,
        "last_used_at": passkey.last_used_at,
    }


def passkey_from(row: Row) -> Passkey:
    return Passkey(
        account_id=AccountId(row["account_id"]),
        id=PasskeyId(row["passkey_id"]),
        credential_id=row["credential_id"],
        public_key=row["public_key"],
        name=PasskeyName(row["name"]),
        uses=row["uses"],
        is_backed_up=row["is_backed_up"],
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
    )


def session_row(session: Session) -> dict[str, Any]:
    return {
        "account_id": session.account_id,
        "session_id": session.id,
        "profile_id": session.profile_id,
        "fingerprint": session.fingerprint.text,
        "user_agent": session.origin.user_agent,
        "address": session.origin.address,
        "access_id": session.pair.access_id,
        "refresh_id": session.pair.refresh_id,
        "issued_at": session.pair.issued_at,
        "access_expires_at": session.pair.access_expires_at,
        "refresh_expires_at": session.pair.refresh_expires_at,
        "previous_refresh_id": session.previous_refresh_id,
        "rotated_at": session.rotated_at,
        "created_at": session.created_at,
        "last_used_at": session.last_used_at,
        "ended_at": session.ended_at,
        "ended_because": session.ended_because,
        "token_name": session.grant.name.text if session.grant else None,
        "scopes": sorted(session.grant.scopes) if session.grant else None,
    }


def session_from(row: Row) -> Session:
    because = row["ended_because"]
    return Session(
        id=SessionId(row["session_id"]),
        account_id=AccountId(row["account_id"]),
        profile_id=ProfileId(row["profile_id"]),
        fingerprint=Fingerprint(row["fingerprint"]),
        origin=Origin(user_agent=row["user_agent"], address=row["address"]),
        pair=Pair(
            access_id=row["access_id"],
            refresh_id=row["refresh_id"],
            issued_at=row["issued_at"],
            access_expires_at=row["access_expires_at"],
            refresh_expires_at=row["refresh_expires_at"],
        ),
        previous_refresh_id=row["previous_refresh_id"],
        rotated_at=row["rotated_at"],
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
        ended_at=row["ended_at"],
        ended_because=None if because is None else SessionEnd(because),
        grant=None if row["scopes"] is None else Grant.of(row["token_name"], row["scopes"]),
    )


def letter_row(letter: Letter) -> dict[str, Any]:
    return {
        "account_id": letter.account_id,
        "letter_id": letter.id,
        "template": letter.template,
        "recipient": letter.recipient.text,
        "confirmation_id": letter.link.confirmation_id if letter.link else None,
        "link_issued_at": letter.link.issued_at if letter.link else None,
        "link_expires_at": letter.link.expires_at if letter.link else None,
        "user_agent": letter.origin.user_agent,
        "address": letter.origin.address,
        "created_at": letter.created_at,
        "next_attempt_at": letter.next_attempt_at,
        "attempts": letter.attempts,
        "claimed_until": letter.claimed_until,
        "outcome": letter.outcome,
        "reason": letter.reason,
    }


def letter_from(row: Row) -> Letter:
    return Letter(
        id=LetterId(row["letter_id"]),
        account_id=AccountId(row["account_id"]),
        template=Template(row["template"]),
        recipient=Email(row["recipient"]),
        link=_link_from(row),
        origin=Origin(user_agent=row["user_agent"], address=row["address"]),
        created_at=row["created_at"],
        next_attempt_at=row["next_attempt_at"],
        attempts=row["attempts"],
        claimed_until=row["claimed_until"],
        outcome=Outcome(row["outcome"]),
        reason=row["reason"],
    )


def _link_from(row: Row) -> Link | None:
    if row["confirmation_id"] is None:
        return None
    return Link(
        confirmation_id=ConfirmationId(row["confirmation_id"]),
        issued_at=row["link_issued_at"],
        expires_at=row["link_expires_at"],
    )


def profile_row(profile: Profile) -> dict[str, Any]:
    return {
        "profile_id": profile.id,
        "account_id": profile.account_id,
        "first_name": _text(profile.first_name),
        "last_name": _text(profile.last_name),
        "middle_name": _text(profile.middle_name),
        "username": _text(profile.username),
        "phone": _text(profile.phone),
        "username_folded": _folded(profile.username),
        "first_name_folded": _folded(profile.first_name),
        "last_name_folded": _folded(profile.last_name),
    }


def profile_from(row: Row) -> Profile:
    return Profile(
        id=ProfileId(row["profile_id"]),
        account_id=AccountId(row["account_id"]),
        first_name=kept(Name, row["first_name"]),
        last_name=kept(Name, row["last_name"]),
        middle_name=kept(Name, row["middle_name"]),
        username=kept(Username, row["username"]),
        phone=kept(Phone, row["phone"]),
    )


def _text(value: Name | Username | Phone | None) -> str | None:
    return None if value is None else value.text


def _folded(value: Name | Username | None) -> str | None:
    return None if value is None else folded(value.text)
