from attrs import field, frozen

from application.ports.providers import ProviderInfo


@frozen(kw_only=True)
class Registration:
    """A provider of identities, and the client that the messenger is there."""

    info: ProviderInfo
    client_id: str
    client_secret: str = field(default="", repr=False)
    """Empty for a client that has none and relies on PKCE."""
    scope: str = "openid email"
