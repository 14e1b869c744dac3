from attrs import frozen

from application.views import ProfileView
from domain.ids import AccountId, ProfileId, SessionId


@frozen(kw_only=True)
class Actor:
    """Who asks: an account, its profile and the session it asks through, already authenticated."""

    account_id: AccountId
    session_id: SessionId
    email: str
    profile: ProfileView

    @property
    def profile_id(self) -> ProfileId:
        return self.profile.id
