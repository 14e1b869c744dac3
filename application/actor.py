from attrs import field, frozen

from application.views import ProfileView
from domain.ids import AccountId, ProfileId, SessionId


@frozen(kw_only=True)
class Actor:
    """The authenticated caller of a use case: an account, its profile and the session that the request came with."""

    account_id: AccountId
    session_id: SessionId
    email: str
    profile: ProfileView
    network: str = field(default="", eq=False)
    """The network that the request came from (`domain.network.network_of`). Empty if it is not known."""

    @property
    def profile_id(self) -> ProfileId:
        return self.profile.id
