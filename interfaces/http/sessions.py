from functools import partial

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from application.errors import Overloaded
from application.messenger import Messenger
from application.paging import EventPlace, SessionPlace
from application.ports.limiter import TooManyRequests
from domain.account import PasswordWrong
from domain.passkey import ProofUnfit
from domain.session import SessionNotFound
from interfaces.http.authentication import owner_of
from interfaces.http.described import ACCOUNTS, described
from interfaces.http.envelope import success
from interfaces.http.options import HttpOptions
from interfaces.http.paging import Listing, listed
from interfaces.http.requests import json_object_if_any, known, path, query
from interfaces.http.routes import Endpoint
from interfaces.wire import answers, codec


@frozen
class Sessions:
    """The devices on which the account is signed in. Revoking a session closes its sockets."""

    messenger: Messenger
    options: HttpOptions

    def routes(self) -> list[Endpoint]:
        at = f"{self.options.prefix}/accounts/sessions/"
        return [
            Endpoint("GET", at, self.read_all),
            Endpoint("DELETE", at, self.revoke_others),
            Endpoint("GET", f"{self.options.prefix}/accounts/events/", self.read_events),
            Endpoint("DELETE", at + "{session_id}/", self.revoke),
        ]

    @described(
        summary="List my sessions, the newest sign-in first",
        description="Each session is a device that is signed in. `Link` leads to the next page.",
        tag=ACCOUNTS,
        answer=list[answers.Session],
        query=codec.LIST,
        is_polled=True,
        has_next=True,
    )
    async def read_all(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        asked = codec.LIST.decode(query(request), within="query")
        listing = Listing(self.options.cursor_key, SessionPlace, f"sessions {actor.account_id}")
        read = partial(self.messenger.sessions.list, actor)
        return await listed(request, listing, asked, read, partial(codec.session_json, own=actor.session_id))

    @described(
        summary="List what happened to the security of my account, the newest first",
        description="Sign-ins and failed ones, sign-outs, ended sessions, refresh tokens that were used twice, confirmed"
        " addresses, new passwords and requests for one, second factors that were switched on or off, new recovery codes,"
        " passkeys and identities that were added or removed, passkeys of which a copy was used, access tokens that were made"
        " or ended, and the end of the account. The newest `AUTH_EVENTS_KEPT` are kept, of which failed sign-ins are at"
        " most a quarter. `Link` leads to the next page.",
        tag=ACCOUNTS,
        answer=list[answers.AccountEvent],
        query=codec.LIST,
        is_polled=True,
        has_next=True,
    )
    async def read_events(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        asked = codec.LIST.decode(query(request), within="query")
        listing = Listing(self.options.cursor_key, EventPlace, f"events {actor.account_id}")
        read = partial(self.messenger.sessions.events, actor)
        return await listed(request, listing, asked, read, codec.account_event_json)

    @described(
        summary="End all my other sessions, and close their sockets",
        description="The session that asks stays. Sockets of the others close with 4401. Takes the password, or a proof by a passkey.",
        tag=ACCOUNTS,
        answer=answers.Revoked,
        body=codec.REVOKE_OTHERS,
        may_lack_body=True,
        refuses=(PasswordWrong, ProofUnfit, TooManyRequests, Overloaded),
    )
    async def revoke_others(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        body = await json_object_if_any(request)
        command = codec.REVOKE_OTHERS.decode(body, within="body", known=known(request))
        return success({"revoked": await self.messenger.sessions.revoke_others(actor, command)})

    @described(
        summary="End one of my sessions, and close its sockets",
        description="Its tokens end at once, and its sockets close with 4401. It may be the session that asks; ending another one takes"
        " the password, or a proof by a passkey.",
        tag=ACCOUNTS,
        body=codec.REVOKE_SESSION,
        may_lack_body=True,
        refuses=(SessionNotFound, PasswordWrong, ProofUnfit, TooManyRequests, Overloaded),
    )
    async def revoke(self, request: Request) -> Response:
        actor = await owner_of(request, self.messenger)
        body = await json_object_if_any(request)
        command = codec.REVOKE_SESSION.decode(body, within="body", path=path(request), known=known(request))
        await self.messenger.sessions.revoke(actor, command)
        return success(None)
