"""Passkeys (WebAuthn): signing in with one, those of the account, and proving by one who one is."""

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from application.accounts.passkey_sign_in import BeginPasskeySignIn
from application.accounts.passkeys import Ceremony
from application.errors import NotAuthenticated, Overloaded
from application.messenger import Messenger
from application.ports.limiter import TooManyRequests
from domain.account import PasswordWrong
from domain.factor import CodeWrong
from domain.identity import LastWayIn
from domain.passkey import (
    PasskeyCopied,
    PasskeyNotFound,
    PasskeyRefused,
    PasskeysUnavailable,
    PasskeyTaken,
    ProofUnfit,
    TooManyPasskeys,
)
from interfaces.http.authentication import owner_of
from interfaces.http.described import ACCOUNTS, described
from interfaces.http.envelope import NOT_KEPT, success
from interfaces.http.options import HttpOptions
from interfaces.http.requests import json_object, known, origin_of, path
from interfaces.http.routes import Endpoint
from interfaces.http.signing_in import signed_in_answer
from interfaces.wire import answers, codec


@frozen
class Passkeys:
    messenger: Messenger
    options: HttpOptions

    def routes(self) -> list[Endpoint]:
        at = f"{self.options.prefix}/accounts"
        return [
            Endpoint("POST", f"{at}/sign-in/passkey/begin/", self.begin_sign_in),
            Endpoint("POST", f"{at}/sign-in/passkey/", self.sign_in),
            Endpoint("GET", f"{at}/passkeys/", self.read_all),
            Endpoint("POST", f"{at}/passkeys/begin/", self.begin),
            Endpoint("POST", f"{at}/passkeys/", self.add),
            Endpoint("PATCH", f"{at}/passkeys/{{passkey_id}}/", self.rename),
            Endpoint("DELETE", f"{at}/passkeys/{{passkey_id}}/", self.remove),
            Endpoint("POST", f"{at}/proof/begin/", self.begin_proof),
            Endpoint("POST", f"{at}/proof/", self.prove),
        ]

    @described(
        summary="Begin to sign in with a passkey",
        description="The device shows the person which passkeys it has for this messenger. The answer goes to "
        "`POST /accounts/sign-in/passkey/` within five minutes.",
        tag=ACCOUNTS,
        answer=answers.PasskeyCeremony,
        refuses=(PasskeysUnavailable, TooManyRequests),
        needs_own_page=True,
        is_public=True,
        is_stored=False,
    )
    async def begin_sign_in(self, request: Request) -> Response:
        command = BeginPasskeySignIn(origin=origin_of(request))
        return _ceremony(await self.messenger.passkeys.begin_sign_in(command))

    @described(
        summary="Sign in with a passkey",
        description="The passkey names the account. No code is asked for: the device has verified the person. `token` is good once.",
        tag=ACCOUNTS,
        answer=answers.Tokens,
        body=codec.PASSKEY_SIGN_IN,
        refuses=(PasskeysUnavailable, NotAuthenticated, PasskeyCopied, TooManyRequests),
        needs_own_page=True,
        is_public=True,
    )
    async def sign_in(self, request: Request) -> Response:
        body = await json_object(request)
        command = codec.PASSKEY_SIGN_IN.decode(body, within="body", known=known(request))
        return signed_in_answer(request, await self.messenger.passkeys.sign_in(command), self.options)

    @described(
        summary="List my passkeys, the oldest first",
        description="Each signs in to the account by itself.",
        tag=ACCOUNTS,
        answer=list[answers.Passkey],
    )
    async def read_all(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        return success([codec.passkey_json(each) for each in await self.messenger.passkeys.list(actor)])

    @described(
        summary="Begin to add a passkey",
        description="Takes the password, and a code with a second factor, or a proof by a passkey that there is. The answer goes to "
        "`POST /accounts/passkeys/` in the same session, within five minutes.",
        tag=ACCOUNTS,
        answer=answers.PasskeyCeremony,
        body=codec.BEGIN_PASSKEY,
        refuses=(
            PasskeysUnavailable,
            TooManyPasskeys,
            PasswordWrong,
            CodeWrong,
            ProofUnfit,
            TooManyRequests,
            Overloaded,
        ),
    )
    async def begin(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        body = await json_object(request)
        command = codec.BEGIN_PASSKEY.decode(body, within="body", known=known(request))
        return _ceremony(await self.messenger.passkeys.begin(actor, command))

    @described(
        summary="Add the passkey that a device has made",
        description="From now on it signs in to the account. `token` is good once.",
        tag=ACCOUNTS,
        answer=answers.Passkey,
        body=codec.ADD_PASSKEY,
        refuses=(PasskeysUnavailable, PasskeyRefused, PasskeyTaken, TooManyPasskeys),
    )
    async def add(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        command = codec.ADD_PASSKEY.decode(await json_object(request), within="body")
        return success(codec.passkey_json(await self.messenger.passkeys.add(actor, command)))

    @described(
        summary="Rename a passkey",
        description="The name is for its owner to tell passkeys apart.",
        tag=ACCOUNTS,
        answer=answers.Passkey,
        body=codec.RENAME_PASSKEY,
        refuses=(PasskeyNotFound,),
    )
    async def rename(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        body = await json_object(request)
        command = codec.RENAME_PASSKEY.decode(body, within="body", path=path(request))
        return success(codec.passkey_json(await self.messenger.passkeys.rename(actor, command)))

    @described(
        summary="Remove a passkey",
        description="It signs nobody in any more; sessions that were opened with it stay. The last way to sign in is not removed. Takes "
        "the password, and a code with a second factor, or a proof by a passkey.",
        tag=ACCOUNTS,
        body=codec.REMOVE_PASSKEY,
        refuses=(
            PasskeyNotFound,
            LastWayIn,
            PasswordWrong,
            CodeWrong,
            ProofUnfit,
            TooManyRequests,
            Overloaded,
        ),
    )
    async def remove(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        body = await json_object(request)
        command = codec.REMOVE_PASSKEY.decode(body, within="body", path=path(request), known=known(request))
        await self.messenger.passkeys.remove(actor, command)
        return success(None)

    @described(
        summary="Begin to prove by a passkey who I am",
        description="Instead of the password and a code. The answer goes to `POST /accounts/proof/` within five minutes.",
        tag=ACCOUNTS,
        answer=answers.PasskeyCeremony,
        refuses=(PasskeysUnavailable, PasskeyNotFound),
    )
    async def begin_proof(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        return _ceremony(await self.messenger.passkeys.begin_proof(actor))

    @described(
        summary="Prove by a passkey who I am",
        description="The proof is good for five minutes, once, and in this session: as `proof` of requests that otherwise take the "
        "password and a code.",
        tag=ACCOUNTS,
        answer=answers.Proof,
        body=codec.PROVE,
        refuses=(PasskeysUnavailable, PasskeyNotFound, PasskeyRefused, PasskeyCopied),
    )
    async def prove(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        command = codec.PROVE.decode(await json_object(request), within="body")
        proved = await self.messenger.passkeys.prove(actor, command)
        return success(codec.proof_json(proved), NOT_KEPT)


def _ceremony(ceremony: Ceremony) -> Response:
    return success(codec.ceremony_json(ceremony), NOT_KEPT)
