from collections.abc import Sequence

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from application.errors import Overloaded
from application.messenger import Messenger
from application.ports.limiter import TooManyRequests
from domain.account import PasswordWrong
from domain.factor import CodeWrong, FactorAlreadyOn, FactorNotOn, FactorsUnavailable
from domain.passkey import ProofUnfit
from interfaces.http.authentication import owner_of
from interfaces.http.described import ACCOUNTS, described
from interfaces.http.envelope import NOT_KEPT, success
from interfaces.http.options import HttpOptions
from interfaces.http.requests import json_object, known
from interfaces.http.routes import Endpoint
from interfaces.wire import answers, codec


@frozen
class Factors:
    """The second factor of the account: codes of an application, and recovery codes. Answers with secrets are not cached."""

    messenger: Messenger
    options: HttpOptions

    def routes(self) -> list[Endpoint]:
        at = f"{self.options.prefix}/accounts/factors"
        return [
            Endpoint("GET", f"{at}/", self.read),
            Endpoint("POST", f"{at}/totp/", self.set_up),
            Endpoint("POST", f"{at}/totp/confirm/", self.confirm),
            Endpoint("POST", f"{at}/recovery-codes/", self.renew_recovery_codes),
            Endpoint("DELETE", f"{at}/totp/", self.turn_off),
        ]

    @described(
        summary="Tell whether my account has a second factor",
        description="`available` is false if this messenger has no second factors (`AUTH_FACTOR_KEY`).",
        tag=ACCOUNTS,
        answer=answers.Factors,
    )
    async def read(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        return success(codec.factors_json(await self.messenger.factors.read(actor)))

    @described(
        summary="Begin to set up codes of an application (TOTP)",
        description="The secret is shown in this answer only. Sign-ins change once a code confirms it. Another request "
        "replaces a secret that is not confirmed.",
        tag=ACCOUNTS,
        answer=answers.TotpSecret,
        body=codec.SET_UP_FACTOR,
        refuses=(FactorsUnavailable, FactorAlreadyOn, PasswordWrong, ProofUnfit, TooManyRequests, Overloaded),
    )
    async def set_up(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        body = await json_object(request)
        command = codec.SET_UP_FACTOR.decode(body, within="body", known=known(request))
        return _secret(codec.factor_secret_json(await self.messenger.factors.set_up(actor, command)))

    @described(
        summary="Confirm the application by its first code, and switch the second factor on",
        description="From now on signing in takes a code too. The recovery codes are shown in this answer only; each is good "
        "once, in place of a code.",
        tag=ACCOUNTS,
        answer=answers.NewRecoveryCodes,
        body=codec.CONFIRM_FACTOR,
        refuses=(FactorNotOn, FactorAlreadyOn, CodeWrong, TooManyRequests),
    )
    async def confirm(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        command = codec.CONFIRM_FACTOR.decode(await json_object(request), within="body")
        return _recovery(await self.messenger.factors.confirm(actor, command))

    @described(
        summary="Exchange my recovery codes for new ones",
        description="The former ones are void, used or not. The new ones are shown in this answer only.",
        tag=ACCOUNTS,
        answer=answers.NewRecoveryCodes,
        body=codec.PROVE_BOTH,
        refuses=(FactorNotOn, PasswordWrong, CodeWrong, ProofUnfit, TooManyRequests, Overloaded),
    )
    async def renew_recovery_codes(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        body = await json_object(request)
        command = codec.PROVE_BOTH.decode(body, within="body", known=known(request))
        return _recovery(await self.messenger.factors.renew_recovery_codes(actor, command))

    @described(
        summary="Turn the second factor off",
        description="Takes the password and a code, or a recovery code. The password alone signs in again.",
        tag=ACCOUNTS,
        body=codec.PROVE_BOTH,
        refuses=(FactorNotOn, PasswordWrong, CodeWrong, ProofUnfit, TooManyRequests, Overloaded),
    )
    async def turn_off(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        body = await json_object(request)
        command = codec.PROVE_BOTH.decode(body, within="body", known=known(request))
        await self.messenger.factors.turn_off(actor, command)
        return success(None)


def _recovery(codes: Sequence[str]) -> Response:
    return _secret({"recoveryCodes": list(codes)})


def _secret(data: object) -> Response:
    return success(data, NOT_KEPT)
