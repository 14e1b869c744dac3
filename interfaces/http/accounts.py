from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from application.accounts.refresh import Refresh
from application.accounts.sign_out import SignOut
from application.errors import NotAuthenticated, Overloaded, SecondFactorNeeded
from application.keys import KeyReused
from application.messenger import Messenger
from application.ports.limiter import TooManyRequests
from domain.account import AlreadyConfirmed, EmailTaken, PasswordWrong
from domain.factor import CodeWrong
from domain.passkey import ProofUnfit
from interfaces.http.authentication import (
    actor_of,
    find_bearer,
    network_in,
    owner_of,
    trying_password,
)
from interfaces.http.described import ACCOUNTS, described
from interfaces.http.envelope import bare, success
from interfaces.http.options import HttpOptions
from interfaces.http.requests import form, json_object, key, known, query
from interfaces.http.routes import Endpoint
from interfaces.http.signing_in import (
    gone_cookies,
    refresh_cookie,
    refresh_token_of,
    seconds_left,
    signed_in_answer,
)
from interfaces.wire import answers, codec


@frozen
class Accounts:
    """Signing up, in and out. Bodies carry access tokens only; the refresh token is a cookie that scripts cannot read."""

    messenger: Messenger
    options: HttpOptions

    def routes(self) -> list[Endpoint]:
        at = f"{self.options.prefix}/accounts"
        return [
            Endpoint("POST", f"{at}/sign-up/", self.sign_up),
            Endpoint("POST", f"{at}/sign-in/", self.sign_in),
            Endpoint("POST", f"{at}/sign-in/second/", self.finish_sign_in),
            Endpoint("POST", f"{at}/sign-in/swagger/", self.sign_in_by_form, needs_own_page=True),
            Endpoint("POST", f"{at}/sign-out/", self.sign_out),
            Endpoint("GET", f"{at}/me/", self.me),
            Endpoint("GET", f"{at}/me/ways/", self.ways),
            Endpoint("GET", f"{at}/email/status/", self.email_status),
            Endpoint("POST", f"{at}/email/confirm/", self.confirm_email),
            Endpoint("POST", f"{at}/token/refresh/", self.refresh),
            Endpoint("POST", f"{at}/token/redeem/", self.redeem_token),
            Endpoint("POST", f"{at}/password/reset/", self.reset_password),
            Endpoint("POST", f"{at}/password/set/", self.set_password),
            Endpoint("DELETE", f"{at}/me/", self.close_account),
        ]

    @described(
        summary="Sign up: a letter is sent, and its link confirms the address",
        description="Nobody can sign in before the address is confirmed. Signing up again sends another letter; each "
        "letter activates the password that was given with it.",
        tag=ACCOUNTS,
        answer=answers.Account,
        body=codec.SIGN_UP,
        refuses=(EmailTaken, TooManyRequests, Overloaded, KeyReused),
        is_public=True,
    )
    async def sign_up(self, request: Request) -> Response:
        body = await json_object(request) | key(request)
        command = codec.SIGN_UP.decode(body, within="body", known=known(request))
        signed_up = await self.messenger.accounts.sign_up(command)
        return success(codec.account_json(signed_up.account_id, signed_up.email))

    @described(
        summary="Sign in by e-mail and password",
        tag=ACCOUNTS,
        description="The refresh token is a cookie that scripts cannot read. `expiresIn` tells when to refresh. Wrong passwords "
        "are limited per account and network. If the account has a second factor, the answer is 403 with a `pendingToken` for "
        "`POST /accounts/sign-in/second/`.",
        answer=answers.Tokens,
        body=codec.SIGN_IN,
        needs_own_page=True,
        refuses=(NotAuthenticated, SecondFactorNeeded, TooManyRequests, Overloaded),
        is_public=True,
    )
    async def sign_in(self, request: Request) -> Response:
        body = await json_object(request)
        command = codec.SIGN_IN.decode(body, within="body", known=known(request))
        async with trying_password(request):
            signed_in = await self.messenger.accounts.sign_in(command)
        return signed_in_answer(request, signed_in, self.options)

    @described(
        summary="Finish signing in with the code of a second factor",
        description="Takes the `pendingToken` of an answer `SECOND_FACTOR_NEEDED`, which is good for five minutes, and a code "
        "of the application or a recovery code. Each code is good once; wrong codes are limited.",
        tag=ACCOUNTS,
        answer=answers.Tokens,
        body=codec.FINISH_SIGN_IN,
        needs_own_page=True,
        refuses=(NotAuthenticated, CodeWrong, TooManyRequests),
        is_public=True,
    )
    async def finish_sign_in(self, request: Request) -> Response:
        body = await json_object(request)
        command = codec.FINISH_SIGN_IN.decode(body, within="body", known=known(request))
        return signed_in_answer(request, await self.messenger.accounts.finish_sign_in(command), self.options)

    async def sign_in_by_form(self, request: Request) -> Response:
        fields = await form(request)
        shape = codec.SIGN_IN_BY_EMAIL if "email" in fields else codec.SIGN_IN_BY_USERNAME
        command = shape.decode(fields, within="body", known=known(request))
        async with trying_password(request):
            signed_in = await self.messenger.accounts.sign_in(command)
        answer = bare(
            {
                "access_token": signed_in.access_token,
                "token_type": "bearer",
                "expires_in": seconds_left(signed_in.expires_in),
            }
        )
        answer.headers["Set-Cookie"] = refresh_cookie(request, signed_in.refresh_token, self.options)
        return answer

    @described(
        summary="End the session of the bearer token or the refresh cookie; without either, do nothing",
        description="The tokens of the session end at once, and its sockets close with 4401. The answer deletes the "
        "cookie. A program ends its own access token so.",
        tag=ACCOUNTS,
        needs_own_page=True,
        is_public=True,
        needs_cookie=True,
    )
    async def sign_out(self, request: Request) -> Response:
        command = SignOut(
            access_token=find_bearer(request.headers), refresh_token=refresh_token_of(request, self.options)
        )
        await self.messenger.accounts.sign_out(command)
        return self._signed_out()

    @described(
        summary="Read the account that is signed in",
        description="`profileId` is the id under which the person appears in chats.",
        tag=ACCOUNTS,
        answer=answers.Me,
    )
    async def me(self, request: Request) -> Response:
        return success(codec.actor_json(await actor_of(request, self.messenger)))

    @described(
        summary="Tell by which ways my account can be signed in to",
        description="For somebody who changes the password: other ways stay, unless they are removed with it. Ways that the operator "
        "does not offer at present are counted too.",
        tag=ACCOUNTS,
        answer=answers.OwnWays,
    )
    async def ways(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        return success(codec.own_ways_json(await self.messenger.accounts.read_ways(actor)))

    @described(
        summary="Tell whether a confirmed account has this address",
        description="Rate-limited, or anyone could list accounts.",
        tag=ACCOUNTS,
        answer=answers.Exists,
        query=codec.EMAIL_STATUS,
        refuses=(TooManyRequests,),
        is_public=True,
    )
    async def email_status(self, request: Request) -> Response:
        command = codec.EMAIL_STATUS.decode(query(request), within="query", known=known(request))
        return success({"exists": await self.messenger.accounts.email_status(command)})

    @described(
        summary="Confirm an address by the token of a letter, and sign in",
        description="The token is in the link of the letter, and works once. It voids the other letters of the "
        "account.",
        tag=ACCOUNTS,
        answer=answers.Tokens,
        body=codec.CONFIRM_EMAIL,
        needs_own_page=True,
        refuses=(NotAuthenticated, AlreadyConfirmed),
        is_public=True,
    )
    async def confirm_email(self, request: Request) -> Response:
        body = await json_object(request)
        command = codec.CONFIRM_EMAIL.decode(body, within="body", known=known(request))
        return signed_in_answer(request, await self.messenger.accounts.confirm_email(command), self.options)

    @described(
        summary="Exchange the refresh cookie for a new pair of tokens",
        description="The refresh token is replaced; used a second time it ends its session, except within ten "
        "seconds, when it returns the same new pair. Access tokens from before stay good until they "
        "expire.",
        tag=ACCOUNTS,
        answer=answers.Tokens,
        body=codec.REFRESH,
        needs_own_page=True,
        refuses=(NotAuthenticated, TooManyRequests),
        is_public=True,
        needs_cookie=True,
    )
    async def refresh(self, request: Request) -> Response:
        token = refresh_token_of(request, self.options) or ""
        command: Refresh = codec.REFRESH.decode(
            await json_object(request), within="body", known={"token": token, "network": network_in(request)}
        )
        return signed_in_answer(request, await self.messenger.accounts.refresh(command), self.options)

    @described(
        summary="Sign in with the token of a letter, to choose a new password then",
        tag=ACCOUNTS,
        description="Takes the token of the letter for a forgotten password, or of the one that confirms an address. The token is used "
        "up even if a second factor is still needed.",
        answer=answers.Tokens,
        body=codec.REDEEM_TOKEN,
        needs_own_page=True,
        refuses=(NotAuthenticated, SecondFactorNeeded),
        is_public=True,
    )
    async def redeem_token(self, request: Request) -> Response:
        body = await json_object(request)
        command = codec.REDEEM_TOKEN.decode(body, within="body", known=known(request))
        return signed_in_answer(request, await self.messenger.accounts.redeem_token(command), self.options)

    @described(
        summary="Request a letter whose link sets a new password",
        tag=ACCOUNTS,
        description="The answer does not say whether there is such an account.",
        body=codec.RESET_PASSWORD,
        refuses=(TooManyRequests,),
        is_public=True,
    )
    async def reset_password(self, request: Request) -> Response:
        body = await json_object(request) | key(request)
        command = codec.RESET_PASSWORD.decode(body, within="body", known=known(request))
        await self.messenger.accounts.reset_password(command)
        return success(None)

    @described(
        summary="Change the password; all other sessions end",
        description="Their sockets close with 4401. Letters that were sent for a forgotten password become void. Passkeys and "
        "identities at providers stay, unless `removeOtherWays` is true; `GET /accounts/me/ways/` counts them.",
        tag=ACCOUNTS,
        body=codec.SET_PASSWORD,
        refuses=(PasswordWrong, CodeWrong, ProofUnfit, TooManyRequests, Overloaded),
    )
    async def set_password(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        body = await json_object(request)
        command = codec.SET_PASSWORD.decode(body, within="body", known=known(request))
        await self.messenger.accounts.set_password(actor, command)
        return success(None)

    @described(
        summary="Close my account; its messages stay, under a placeholder name",
        description="All sessions end, groups that the person owns pass to others, and the address is free again. If the "
        "account has a second factor, `code` is needed too.",
        tag=ACCOUNTS,
        body=codec.CLOSE_ACCOUNT,
        needs_own_page=True,
        refuses=(PasswordWrong, CodeWrong, ProofUnfit, TooManyRequests, Overloaded),
    )
    async def close_account(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        body = await json_object(request)
        command = codec.CLOSE_ACCOUNT.decode(body, within="body", known=known(request))
        await self.messenger.accounts.close(actor, command)
        return self._signed_out()

    def _signed_out(self) -> Response:
        answer = success(None)
        for each in gone_cookies(self.options):
            answer.headers.append("Set-Cookie", each)
        return answer
