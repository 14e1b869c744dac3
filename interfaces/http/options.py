from typing import Final

from attrs import field, frozen

from domain.account import PasswordPattern
from interfaces.browsers import Pages
from interfaces.http.addresses import Networks
from interfaces.http.look import Places

HOST_PREFIX: Final = "__Host-"
"""Browsers take a cookie of such a name from its own host only, over HTTPS, for all paths."""

SECURE_PREFIX: Final = "__Secure-"
"""Browsers take a cookie of such a name over HTTPS only."""

WEB_CLIENT_MODULES: Final = frozenset({"auth", "chat"})
"""The modules whose interface the web client uses. It is served only if all of them are switched on."""


@frozen(kw_only=True)
class ApiInfo:
    """How the document introduces the interface."""

    title: str = "Messenger REST-API engine"
    description: str = ""
    version: str = "1.0.0"
    contact_name: str = ""
    contact_email: str = ""


@frozen(kw_only=True)
class HttpOptions:
    """The operator's choices about the HTTP interface. `config.settings` reads them from the environment."""

    prefix: str = ""
    """The beginning of every path. It begins with a slash and does not end in one, like ``public_path``."""
    public_path: str = ""
    """The path that a proxy strips before the prefix: links, cookies and redirects begin with it, requests do not."""
    public_url: str = ""
    """The address that people use, with ``public_path`` at its end: the server that the document names."""
    trusted_proxies: Networks = Networks()
    """Proxies whose headers about the client's address and scheme are believed."""
    allowed_hosts: tuple[str, ...] = ()
    """The names that requests may have in ``Host``, besides addresses; empty for any."""
    cors_origins: tuple[str, ...] = ()
    secure_cookies: bool = False
    """Whether the refresh cookie is sent over TLS only."""
    hsts_seconds: int = 0
    """How long browsers must use HTTPS only after a visit by HTTPS (``Strict-Transport-Security``); 0 sends no header."""
    hsts_subdomains: bool = False
    """True if browsers must use HTTPS for all names below ours, too."""
    original_statuses: bool = False
    """Whether validation errors are 501, and bodies of 404 and 405 bare, for front ends that depend on it."""
    body_limit: int = 256 * 1024
    """The maximum size of a request body in bytes."""
    confirm_path: str = "/confirm-email"
    """The path of the page that confirms an address, prefix included. Letters link to it."""
    new_password_path: str = "/setup-new-password"  # noqa: S105  # a path, no password
    """The path of the page that sets a new password, prefix included. Letters link to it."""
    app_url: str = ""
    """The address of the application that people use. Pages lead there; without it they only say what to do."""
    password_pattern: PasswordPattern = PasswordPattern.LETTERS
    """The password rule that the page for a new password explains."""
    log_probes: bool = False
    """Whether requests of health checks and scrapers are logged."""
    docs: bool = True
    """Whether the OpenAPI document and Swagger UI are served."""
    docs_path: str = "/docs"
    web_client: bool = True
    """True if the messenger serves the web client."""
    local_status: bool = False
    """True if the web client shows the messenger's state and letters to people on this machine, who try it out."""
    access_tokens: bool = False
    """True if people can make access tokens for programs; the web client offers it then."""
    about: ApiInfo = ApiInfo()
    cursor_key: bytes = field(default=b"", repr=False)
    """
    The key that signs cursors of lists. It protects no secret, for a cursor reveals nothing that the list does not; its
    purpose is that cursors that this server did not issue are refused.
    """
    history_page: int = 50
    history_most: int = 200

    @property
    def pages(self) -> Pages:
        """The web pages from which a browser may open sockets and use the refresh cookie."""
        return Pages.of(self.public_url, self.cors_origins)

    @property
    def errors_path(self) -> str:
        """The path to which an error code is appended to get the page that explains it."""
        return f"{self.prefix}/errors/"

    @property
    def web_path(self) -> str:
        """The path of the web client's page."""
        return f"{self.prefix}/app/"

    @property
    def people(self) -> str:
        """The address to which pages send people on: the application, or our own web client."""
        return self.app_url or self.own_client

    @property
    def own_client(self) -> str:
        """The address of our own web client, as browsers see it, or of the application if it is not served."""
        own = f"{self.public_path}{self.web_path}"
        return own if self.web_client or not self.app_url else self.app_url

    @property
    def status_path(self) -> str:
        """The path of the page about the state of a messenger for trying out."""
        return f"{self.web_path}status"

    @property
    def places(self) -> Places:
        """The addresses to which the bar above all pages leads."""
        at = self.public_path
        return Places(
            app=f"{at}{self.web_path}" if self.web_client else "",
            docs=f"{self.base}{self.docs_path}" if self.docs else "",
            status=f"{at}{self.status_path}" if self.web_client and self.local_status else "",
        )

    @property
    def base(self) -> str:
        """The beginning of the paths of links, as browsers see them."""
        return f"{self.public_path}{self.prefix}"

    @property
    def cookie_path(self) -> str:
        return f"{self.base}/accounts/"

    @property
    def cookie_prefix(self) -> str:
        """
        The beginning of the names of cookies for browsers. The stronger prefix makes a cookie one of all paths, so that
        applications at other paths of the host would get it too: it is used where the whole host is ours.
        """
        if not self.secure_cookies:
            return ""
        return SECURE_PREFIX if self.base else HOST_PREFIX
