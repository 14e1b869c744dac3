from datetime import timedelta

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from application.accounts.access_tokens import MakeAccessToken
from application.errors import Overloaded
from application.messenger import Messenger
from application.ports.limiter import TooManyRequests
from domain.account import PasswordWrong
from domain.factor import CodeWrong
from domain.passkey import ProofUnfit
from domain.scope import AccessTokenNotFound, AccessTokensUnavailable, TooManyAccessTokens
from interfaces.http.authentication import owner_of
from interfaces.http.described import ACCOUNTS, described
from interfaces.http.envelope import NOT_KEPT, success
from interfaces.http.options import HttpOptions
from interfaces.http.requests import json_object, known, path
from interfaces.http.routes import Endpoint
from interfaces.wire import answers, codec


@frozen
class AccessTokens:
    """Access tokens of programs, which their owner makes and ends on a device."""

    messenger: Messenger
    options: HttpOptions

    def routes(self) -> list[Endpoint]:
        at = f"{self.options.prefix}/accounts/tokens/"
        return [
            Endpoint("GET", at, self.read_all),
            Endpoint("POST", at, self.make),
            Endpoint("DELETE", at + "{token_id}/", self.end),
        ]

    @described(
        summary="List my access tokens of programs, the newest first",
        description="The tokens themselves are not shown again.",
        tag=ACCOUNTS,
        answer=list[answers.AccessToken],
    )
    async def read_all(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        found = await self.messenger.access_tokens.list(actor)
        return success([codec.access_token_json(each) for each in found])

    @described(
        summary="Make an access token for a program",
        description="The token is shown in this answer only. It is sent as `Authorization: Bearer ...` and in the `auth` frame "
        "of sockets, and needs no refreshing. It reads everything that I can read; `scopes` name what it may do beside that. "
        "It never changes accounts, sessions, passwords, profiles or tokens. If the account has a second factor, `code` is "
        "needed too.",
        tag=ACCOUNTS,
        answer=answers.NewAccessToken,
        body=codec.MAKE_ACCESS_TOKEN,
        refuses=(
            AccessTokensUnavailable,
            TooManyAccessTokens,
            PasswordWrong,
            CodeWrong,
            ProofUnfit,
            TooManyRequests,
            Overloaded,
        ),
    )
    async def make(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        asked = codec.MAKE_ACCESS_TOKEN.decode(
            await json_object(request), within="body", known=known(request)
        )
        command = MakeAccessToken(
            name=asked.name,
            scopes=asked.scopes,
            password=asked.password,
            code=asked.code,
            proof=asked.proof,
            lifetime=timedelta(days=asked.days) if asked.days else None,
            origin=asked.origin,
        )
        made = await self.messenger.access_tokens.make(actor, command)
        data: answers.NewAccessToken = {**codec.access_token_json(made.session), "token": made.text}
        return success(data, NOT_KEPT)

    @described(
        summary="End an access token of a program, and close its sockets",
        description="The token is refused at once, and sockets of the program close with 4401.",
        tag=ACCOUNTS,
        query=codec.END_ACCESS_TOKEN,
        refuses=(AccessTokenNotFound,),
    )
    async def end(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        command = codec.END_ACCESS_TOKEN.decode({}, within="query", path=path(request))
        await self.messenger.access_tokens.end(actor, command)
        return success(None)
