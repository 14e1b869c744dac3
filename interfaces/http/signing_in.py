"""The answer of all ways to sign in: an access token, and the refresh token as a cookie that scripts cannot read."""

from datetime import timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from application.accounts.signed_in import SignedIn
from interfaces.browsers import is_of_browser
from interfaces.http.envelope import success
from interfaces.http.options import HOST_PREFIX, HttpOptions
from interfaces.wire import answers

REFRESH_COOKIE: Final = "refresh_token"
"""The name that the original gave to the cookie. Behind HTTPS a browser gets it with `HttpOptions.cookie_prefix`."""

GONE: Final = "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
"""A lifetime that deletes a cookie."""


def signed_in_answer(request: Request, signed_in: SignedIn, options: HttpOptions) -> Response:
    tokens: answers.Tokens = {
        "accessToken": signed_in.access_token,
        "expiresIn": seconds_left(signed_in.expires_in),
    }
    return success(tokens, {"Set-Cookie": refresh_cookie(request, signed_in.refresh_token, options)})


def refresh_cookie(request: Request, token: str, options: HttpOptions) -> str:
    """Return the ``Set-Cookie`` value that gives the client its refresh token."""
    if is_of_browser(request.scope):
        return own_cookie(REFRESH_COOKIE, token, options)
    return _cookie(REFRESH_COOKIE, token, options, options.cookie_path)


def refresh_token_of(request: Request, options: HttpOptions) -> str | None:
    """
    Return the refresh token of a request. A browser's counts only under the name with the prefix, where there is one: it
    would also send a cookie of the plain name that another host has set.
    """
    token = request.cookies.get(f"{options.cookie_prefix}{REFRESH_COOKIE}")
    if token is None and not is_of_browser(request.scope):
        token = request.cookies.get(REFRESH_COOKIE)
    return token


def gone_cookies(options: HttpOptions) -> list[str]:
    """Return the ``Set-Cookie`` values that delete the refresh token, under each name that it may have."""
    plain = _cookie(REFRESH_COOKIE, '""', options, options.cookie_path, GONE)
    own = own_cookie(REFRESH_COOKIE, '""', options, GONE)
    return [plain] if own == plain else [own, plain]


def own_cookie(name: str, value: str, options: HttpOptions, lifetime: str = "") -> str:
    """
    Return a ``Set-Cookie`` value for a browser. Its name has the prefix that the address permits. Without a lifetime the
    cookie ends with the browser's session. It is sent with requests of our own pages, and when a person comes here from
    another site, but not with what pages of others ask for.
    """
    prefix = options.cookie_prefix
    path = "/" if prefix == HOST_PREFIX else options.cookie_path
    return _cookie(f"{prefix}{name}", value, options, path, lifetime)


def _cookie(name: str, value: str, options: HttpOptions, path: str, lifetime: str = "") -> str:
    secure = "; Secure" if options.secure_cookies else ""
    return f"{name}={value}{lifetime}; HttpOnly; Path={path}; SameSite=Lax{secure}"


def seconds_left(left: timedelta) -> int:
    """Return whole seconds, rounded down so that no client relies on a token that has just expired."""
    return max(0, left // timedelta(seconds=1))
