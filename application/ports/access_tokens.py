"""Access tokens of programs: texts that nobody can guess, of which a digest is stored."""

from typing import Protocol

from attrs import field, frozen

from domain.ids import AccountId, SessionId


@frozen(kw_only=True)
class NewAccessToken:
    text: str = field(repr=False)
    """Shown to its owner once."""
    digest: str = field(repr=False)


@frozen(kw_only=True)
class PresentedToken:
    """A token that a program presents. Nothing of it is proven yet."""

    account_id: AccountId
    session_id: SessionId
    digest: str = field(repr=False)

    def fits(self, digest: str) -> bool:
        """Tells whether the stored ``digest`` is that of this token."""
        # How long comparing digests takes tells nothing about the secret.
        return self.digest == digest


class AccessTokens(Protocol):
    def new(self, account_id: AccountId, session_id: SessionId) -> NewAccessToken: ...

    def read(self, text: str) -> PresentedToken | None:
        """Returns None if the text is not an access token of a program, but perhaps a token of a session."""
        ...
