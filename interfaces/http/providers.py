"""
Signing in through other providers, and the identities that an account is linked with.

The browser keeps the visit to a provider in a cookie, sealed. The provider sends people back to a fixed address, which only puts
its code into the cookie and leads on to the client, at a fixed address too; the client then finishes, as the page of this server
that it is. No other site's page can begin or finish a visit, and only the browser that left for it comes back from it.
"""

from datetime import timedelta
from typing import Final
from urllib.parse import quote

from attrs import frozen
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from application.accounts.identities import FinishLink
from application.accounts.provider_sign_in import FinishProviderSignIn
from application.accounts.visits import ComeBack, Departure
from application.errors import NotAuthenticated, Overloaded, ProviderUnavailable, SecondFactorNeeded
from application.messenger import Messenger
from application.ports.limiter import TooManyRequests
from domain.account import PasswordWrong
from domain.factor import CodeWrong
from domain.identity import (
    IdentityNotFound,
    IdentityTaken,
    IdentityUnknown,
    LastWayIn,
    ProviderNotFound,
    ProviderRefused,
)
from domain.passkey import ProofUnfit
from interfaces.http.authentication import owner_of
from interfaces.http.described import ACCOUNTS, described
from interfaces.http.envelope import NOT_KEPT, success
from interfaces.http.errors import refusal_of
from interfaces.http.options import HttpOptions
from interfaces.http.requests import json_object, known, origin_of, path
from interfaces.http.routes import Endpoint
from interfaces.http.signing_in import GONE, own_cookie, seconds_left, signed_in_answer
from interfaces.wire import answers, codec

VISIT_COOKIE: Final = "provider_visit"


@frozen
class Providers:
    messenger: Messenger
    options: HttpOptions

    def routes(self) -> list[Endpoint]:
        at = f"{self.options.prefix}/accounts"
        return [
            Endpoint("GET", f"{at}/ways/", self.read_ways),
            Endpoint("POST", f"{at}/sign-in/provider/", self.begin),
            Endpoint("GET", f"{at}/sign-in/provider/callback/{{provider}}/", self.come_back),
            Endpoint("POST", f"{at}/sign-in/provider/finish/", self.finish),
            Endpoint("GET", f"{at}/identities/", self.read_all),
            Endpoint("POST", f"{at}/identities/", self.begin_link),
            Endpoint("POST", f"{at}/identities/finish/", self.finish_link),
            Endpoint("DELETE", f"{at}/identities/{{identity_id}}/", self.unlink),
        ]

    @described(
        summary="List the ways to sign in beside the password",
        description="What the operator has not switched on is not in it.",
        tag=ACCOUNTS,
        answer=answers.Ways,
        is_public=True,
        is_stored=False,
    )
    async def read_ways(self, _: Request) -> Response:
        return success(codec.ways_json(await self.messenger.providers.ways()))

    @described(
        summary="Begin to sign in through a provider (OpenID Connect)",
        description="Send the browser to `url`. The provider asks the person, and the browser comes back to the application with "
        "`#provider=sign-in`, or with `#provider-error=` and the code of an error. Within ten minutes it has to go on with "
        "`POST /accounts/sign-in/provider/finish/`. Until then a cookie keeps what was begun; beginning again replaces it.",
        tag=ACCOUNTS,
        answer=answers.Departure,
        body=codec.BEGIN_PROVIDER_SIGN_IN,
        refuses=(ProviderNotFound, ProviderUnavailable, TooManyRequests),
        needs_own_page=True,
        is_public=True,
        is_stored=False,
    )
    async def begin(self, request: Request) -> Response:
        body = await json_object(request)
        command = codec.BEGIN_PROVIDER_SIGN_IN.decode(body, within="body", known=self._known(request))
        return self._departure(await self.messenger.providers.begin(command))

    async def come_back(self, request: Request) -> Response:
        """Not described: only providers send browsers here."""
        query = request.query_params
        command = ComeBack(
            provider=path(request)["provider"],
            visit=self._visit(request),
            state=query.get("state", ""),
            code=query.get("code"),
            issuer=query.get("iss"),
        )
        try:
            back = await self.messenger.providers.come_back(command)
        except (NotAuthenticated, ProviderRefused) as error:
            # The cookie stays: it may be of another visit, and this is the address of a page that anybody may lead here.
            return self._on(self.options.own_client, "provider-error", refusal_of(error, {}).code)
        to = self.options.people if back.from_app else self.options.own_client
        answer = self._on(to, "provider", "link" if back.is_to_link else "sign-in")
        answer.headers["Set-Cookie"] = self._cookie(back.visit, back.expires_in)
        return answer

    @described(
        summary="Finish signing in through a provider",
        description="Takes the cookie that the visit has left, and is good once. If the account has a second factor, the answer is "
        "403 with a `pendingToken`, as after a password.",
        tag=ACCOUNTS,
        answer=answers.Tokens,
        refuses=(
            NotAuthenticated,
            SecondFactorNeeded,
            IdentityUnknown,
            ProviderNotFound,
            ProviderRefused,
            ProviderUnavailable,
            TooManyRequests,
        ),
        needs_visit=True,
        needs_own_page=True,
        is_public=True,
    )
    async def finish(self, request: Request) -> Response:
        visit = self._visit(request)
        command = FinishProviderSignIn(visit=visit, origin=origin_of(request))
        answer = signed_in_answer(request, await self.messenger.providers.finish(command), self.options)
        answer.headers.append("Set-Cookie", own_cookie(VISIT_COOKIE, '""', self.options, GONE))
        return answer

    @described(
        summary="List the identities at providers that I may sign in through, the oldest link first",
        description="Each is a person at a provider, known by a name that the provider gives nobody else.",
        tag=ACCOUNTS,
        answer=list[answers.Identity],
    )
    async def read_all(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        found = await self.messenger.providers.list(actor)
        offered = (await self.messenger.providers.ways()).providers
        return success([codec.identity_json(each, offered) for each in found])

    @described(
        summary="Begin to link an identity at a provider with my account",
        description="Like `POST /accounts/sign-in/provider/`, for somebody who is signed in. The browser comes back with "
        "`#provider=link`, and goes on with `POST /accounts/identities/finish/` in the same session. If the account has a second "
        "factor, `code` is needed too.",
        tag=ACCOUNTS,
        answer=answers.Departure,
        body=codec.BEGIN_LINK,
        refuses=(
            ProviderNotFound,
            ProviderUnavailable,
            PasswordWrong,
            CodeWrong,
            ProofUnfit,
            TooManyRequests,
            Overloaded,
        ),
        needs_own_page=True,
    )
    async def begin_link(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        body = await json_object(request)
        command = codec.BEGIN_LINK.decode(body, within="body", known=self._known(request))
        return self._departure(await self.messenger.providers.begin_link(actor, command))

    @described(
        summary="Link the identity at a provider with which I came back",
        description="Takes the cookie that the visit has left, and is good once. From now on the identity signs in to the account.",
        tag=ACCOUNTS,
        answer=answers.Identity,
        refuses=(IdentityTaken, ProviderNotFound, ProviderRefused, ProviderUnavailable),
        needs_visit=True,
        needs_own_page=True,
    )
    async def finish_link(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        command = FinishLink(visit=self._visit(request))
        linked = await self.messenger.providers.finish_link(actor, command)
        offered = (await self.messenger.providers.ways()).providers
        gone = own_cookie(VISIT_COOKIE, '""', self.options, GONE)
        return success(codec.identity_json(linked, offered), {"Set-Cookie": gone})

    @described(
        summary="Unlink an identity at a provider from my account",
        description="Nobody signs in through it any more; sessions that were opened so stay. The last way to sign in is not removed. "
        "If the account has a second factor, `code` is needed too.",
        tag=ACCOUNTS,
        body=codec.UNLINK,
        refuses=(
            IdentityNotFound,
            LastWayIn,
            PasswordWrong,
            CodeWrong,
            ProofUnfit,
            TooManyRequests,
            Overloaded,
        ),
    )
    async def unlink(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        body = await json_object(request)
        command = codec.UNLINK.decode(body, within="body", path=path(request), known=known(request))
        await self.messenger.providers.unlink(actor, command)
        return success(None)

    def _known(self, request: Request) -> dict[str, object]:
        from_app = request.headers.get("origin") in self.options.cors_origins
        return {**known(request), "from_app": from_app}

    def _departure(self, departure: Departure) -> Response:
        data: answers.Departure = {"url": departure.url}
        return success(data, {"Set-Cookie": self._cookie(departure.visit, departure.expires_in)})

    def _cookie(self, visit: str, expires_in: timedelta) -> str:
        return own_cookie(VISIT_COOKIE, visit, self.options, f"; Max-Age={seconds_left(expires_in)}")

    def _visit(self, request: Request) -> str:
        return request.cookies.get(f"{self.options.cookie_prefix}{VISIT_COOKIE}", "")

    def _on(self, to: str, name: str, value: str) -> Response:
        headers = {**NOT_KEPT, "Referrer-Policy": "no-referrer"}
        return RedirectResponse(f"{to}#{name}={quote(value)}", 303, headers)
