from attrs import field, frozen

from domain.account import PasswordPattern
from interfaces.http.addresses import Networks


@frozen(kw_only=True)
class ApiInfo:
    """How the interface introduces itself."""

    title: str = "Messenger REST-API engine"
    description: str = ""
    version: str = "1.0.0"
    contact_name: str = ""
    contact_email: str = ""


@frozen(kw_only=True)
class HttpOptions:
    """What an operator may choose about this interface; how it is named in the environment, `config` knows."""

    prefix: str = ""
    """Stands before every path. Begins with a slash and does not end in one, like ``public_path``."""
    public_path: str = ""
    """The path that a proxy takes off before the prefix: links, cookies and redirects begin with it, requests do not."""
    trusted_proxies: Networks = Networks()
    """Those whose word on the client's address and scheme is believed."""
    cors_origins: tuple[str, ...] = ()
    secure_cookies: bool = False
    """Served over TLS: the refresh cookie must not travel otherwise."""
    hsts_seconds: int = 0
    """How long browsers shall insist on HTTPS once they came by it; 0 says nothing about it."""
    original_statuses: bool = False
    """501 for requests that make no sense, bare bodies for 404 and 405: for front ends that insist."""
    body_limit: int = 256 * 1024
    """In bytes."""
    confirm_path: str = "/confirm-email"
    """Where the link in a confirmation letter leads, with the prefix."""
    new_password_path: str = "/setup-new-password"  # noqa: S105  # a path, no password
    """Where the link in the letter for a forgotten password leads, with the prefix."""
    password_pattern: PasswordPattern = PasswordPattern.LETTERS
    """What the page for a new password says that it takes."""
    docs: bool = True
    """Whether there is a document, and pages to read it."""
    docs_path: str = "/docs"
    about: ApiInfo = ApiInfo()
    cursor_key: bytes = field(default=b"", repr=False)
    """
    What cursors of lists are signed with. A cursor shows nothing that the list does not show, so that the key keeps no
    secret: with it, cursors that nobody gave out are refused.
    """
    history_page: int = 50
    history_most: int = 200

    @property
    def errors_path(self) -> str:
        """The route under which the pages of error codes are, each under its code."""
        return f"{self.prefix}/errors/"

    @property
    def base(self) -> str:
        """What links begin with, as browsers see them."""
        return f"{self.public_path}{self.prefix}"

    @property
    def cookie_path(self) -> str:
        return f"{self.base}/accounts/"
