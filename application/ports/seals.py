"""
Sealed texts: what the messenger gives to a browser to keep until the next step of a sign-in, and nobody can read or change.

Nothing is stored for a sign-in that was only begun, so that strangers who begin many fill nothing. That the last step is
taken once is stored when it is taken (`application.keys.use_once`).
"""

from datetime import datetime
from enum import StrEnum
from typing import Protocol

from attrs import field, frozen

from domain.ids import AccountId, SessionId
from domain.session import Fingerprint


@frozen(kw_only=True)
class Visit:
    """A person's visit to a provider, from leaving the messenger to what the browser brings back."""

    provider: str
    state: str = field(repr=False)
    """Comes back with the person. It is unguessable, so that only this browser's visit comes back to it."""
    nonce: str = field(repr=False)
    """Is in the provider's statement, which is therefore about this visit and no other."""
    verifier: str = field(repr=False)
    """Proves to the provider that who exchanges the code is who asked for it (PKCE, RFC 7636)."""
    expires_at: datetime
    fingerprint: Fingerprint = Fingerprint()
    """The device that is to be signed in."""
    from_app: bool = False
    """True if the visit began in an application at another address; False if it began in the web client."""
    account_id: AccountId | None = None
    """The account that the identity is to be linked with; None if the visit is to sign in."""
    session_id: SessionId | None = None
    code: str | None = field(default=None, repr=False)
    """The code with which the provider sent the person back."""
    issuer: str | None = None


class Purpose(StrEnum):
    """The reasons to ask for a passkey."""

    SIGN_IN = "sign_in"
    ADD = "add"
    PROVE = "prove"


@frozen(kw_only=True)
class Challenge:
    """A text that a device with a passkey is asked to sign."""

    purpose: Purpose
    text: str = field(repr=False)
    """Unguessable, and signed once."""
    expires_at: datetime
    account_id: AccountId | None = None
    """The account of the session that asks; None for a sign-in."""
    session_id: SessionId | None = None


@frozen(kw_only=True)
class Proof:
    """States that the owner of a session has just used a passkey."""

    id: str = field(repr=False)
    account_id: AccountId
    session_id: SessionId
    expires_at: datetime


class Seals(Protocol):
    """Each kind of text opens as this kind only. Opening raises `NotAuthenticated` for a text that is not ours or has expired."""

    def seal(self, what: Visit | Challenge | Proof) -> str: ...

    def open_challenge(self, text: str, *, at: datetime) -> Challenge: ...

    def open_proof(self, text: str, *, at: datetime) -> Proof: ...

    def open_visit(self, text: str, *, at: datetime) -> Visit: ...
