from datetime import datetime

from attrs import field, frozen

from application.views import ProfileView
from domain.ids import AccountId, ProfileId, SessionId
from domain.scope import Scope, ScopeMissing


@frozen(kw_only=True)
class Actor:
    """The authenticated caller of a use case: an account, its profile and the session that the request came with."""

    account_id: AccountId
    session_id: SessionId
    email: str
    profile: ProfileView
    network: str = field(default="", eq=False)
    """The network that the request came from (`domain.network.network_of`). Empty if it is not known."""
    scopes: frozenset[Scope] | None = None
    """The permissions of a program beside reading, by its access token. None stands for a person on a device."""
    ends_at: datetime | None = field(default=None, eq=False)
    """When the session ends however often it is refreshed: `LiveSession.ends_at`."""

    @property
    def profile_id(self) -> ProfileId:
        return self.profile.id

    def require(self, scope: Scope) -> None:
        """
        Raises:
            ScopeMissing: The caller is a program whose access token does not permit this.
        """
        if self.scopes is not None and scope not in self.scopes:
            raise ScopeMissing

    def require_device(self) -> None:
        """
        Raises:
            ScopeMissing: The caller is a program. None may do this, whatever its access token permits.
        """
        if self.scopes is not None:
            raise ScopeMissing
