"""The answer of all ways to sign in: an access token, and the refresh token as a cookie that scripts cannot read."""

from datetime import timedelta
from typing import Final

from starlette.responses import Response

from application.accounts.signed_in import SignedIn
from interfaces.http.envelope import success
from interfaces.http.options import HttpOptions
from interfaces.wire import answers

REFRESH_COOKIE: Final = "refresh_token"

GONE: Final = "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
"""A lifetime that deletes a cookie."""


def signed_in_answer(signed_in: SignedIn, options: HttpOptions) -> Response:
    tokens: answers.Tokens = {
        "accessToken": signed_in.access_token,
        "expiresIn": seconds_left(signed_in.expires_in),
    }
    return success(tokens, {"Set-Cookie": refresh_cookie(signed_in.refresh_token, options)})


def refresh_cookie(value: str, options: HttpOptions, lifetime: str = "") -> str:
    return cookie(REFRESH_COOKIE, value, options, lifetime)


def cookie(name: str, value: str, options: HttpOptions, lifetime: str = "") -> str:
    """
    Return a ``Set-Cookie`` value. Without a lifetime the cookie ends with the browser's session. It is sent with requests of
    our own pages, and when a person comes here from another site, but not with what pages of others ask for.
    """
    secure = "; Secure" if options.secure_cookies else ""
    return f"{name}={value}{lifetime}; HttpOnly; Path={options.cookie_path}; SameSite=Lax{secure}"


def seconds_left(left: timedelta) -> int:
    """Return whole seconds, rounded down so that no client relies on a token that has just expired."""
    return max(0, left // timedelta(seconds=1))
