"""
The pages to which links in letters lead: plain forms, which a script only makes more convenient.

They do nothing until a button is pressed: mail scanners open links, and a scanner that runs scripts must not activate an
account that a stranger created with the reader's address. Opening a page only tells whether its link still works.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Final

from attrs import frozen
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from application.accounts.activate import Activate
from application.accounts.choose_password import ChoosePassword
from application.accounts.read_link import ReadLink
from application.errors import NotAuthenticated, OutcomeUnknown, Overloaded, Unavailable
from application.messenger import Messenger
from domain.account import AlreadyConfirmed, Email, Password, PasswordCommon
from domain.errors import Invalid
from interfaces.http.errors import refusal_of
from interfaces.http.options import HttpOptions
from interfaces.http.pages import LETTER_SCRIPT, page
from interfaces.http.requests import form, origin_of
from interfaces.http.routes import Endpoint
from interfaces.wire.validation import Unreadable, trimmed

DONE: Final = "done"
"""The query of the page that follows a success, so that a reload does not send the form again."""

WAYS_STAY: Final = "done=ways"
"""The same if other ways to sign in stay as they are, which the page says then."""

STATES: Final = {DONE: "done", WAYS_STAY: "done_ways_stay"}
"""The state of the page that follows each of these queries."""


class Refused(Exception):
    """The form cannot be accepted as it is. ``problem`` names the line of the page that says why."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


@frozen
class LetterPage(ABC):
    messenger: Messenger
    options: HttpOptions

    template: ClassVar[str]

    @property
    @abstractmethod
    def path(self) -> str: ...

    @abstractmethod
    async def act(self, request: Request, token: str, /) -> str:
        """
        Do what the form asks for, and return the query of the page that says so.

        Raises:
            Refused: The link stays good, but not with this form.
            NotAuthenticated, AlreadyConfirmed: The link does not work any more.
        """

    def accepts(self, *, is_confirmed: bool) -> bool:
        """Tell whether a link that works is of use here."""
        del is_confirmed
        return True

    def routes(self) -> list[Endpoint]:
        return [Endpoint("GET", self.path, self.show), Endpoint("POST", self.path, self.submit)]

    async def show(self, request: Request) -> Response:
        if state := STATES.get(request.url.query):
            return self._page(request, state)
        try:
            link = await self.messenger.accounts.read_link(ReadLink(token=_token(request)))
        except NotAuthenticated:
            return self._page(request, "void")
        except (Unavailable, OutcomeUnknown) as error:
            refusal = refusal_of(error, {})
            return self._page(request, "failed", refusal.status, **refusal.headers)
        if not self.accepts(is_confirmed=link.is_confirmed):
            return self._page(request, "void")
        return self._ask(request, link.email)

    async def submit(self, request: Request) -> Response:
        try:
            done = await self.act(request, _token(request))
        except (NotAuthenticated, AlreadyConfirmed):
            return self._page(request, "void", 410)
        except Refused as refused:
            return await self._ask_again(request, refused.problem, 422)
        except (Unavailable, Overloaded) as error:
            refusal = refusal_of(error, {})
            return await self._ask_again(request, "failed", refusal.status, **refusal.headers)
        except OutcomeUnknown as error:
            return await self._ask_again(request, "unknown", refusal_of(error, {}).status)
        return self._done(done)

    async def _ask_again(self, request: Request, problem: str, status: int, **headers: str) -> Response:
        try:
            link = await self.messenger.accounts.read_link(ReadLink(token=_token(request)))
        except NotAuthenticated:
            # After an unknown outcome this means that it was a success: only that uses up a link.
            return self._done() if problem == "unknown" else self._page(request, "void", 410)
        except (Unavailable, OutcomeUnknown):
            return self._page(request, "failed", status, **headers)
        return self._ask(request, link.email, problem, status, **headers)

    def _done(self, query: str = DONE) -> Response:
        # Behind a proxy that takes a path off, the address of the request lacks it.
        return RedirectResponse(f"{self.options.public_path}{self.path}?{query}", 303)

    def _ask(
        self, request: Request, email: Email, problem: str = "", status: int = 200, **headers: str
    ) -> HTMLResponse:
        return self._page(request, "ask", status, problem, email.text, **headers)

    def _page(
        self,
        request: Request,
        state: str,
        status: int = 200,
        problem: str = "",
        email: str = "",
        **headers: str,
    ) -> HTMLResponse:
        return page(
            request.headers,
            self.template,
            status,
            {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", **headers},
            script=LETTER_SCRIPT,
            places=self.options.places,
            state=state,
            problem=problem,
            email=email,
            here=f"{self.options.public_path}{self.path}",
            app_url=self.options.app_url,
            rule=self.options.password_pattern.wording,
        )


@frozen
class ConfirmationPage(LetterPage):
    """Confirms an address."""

    template = "confirmation.html"

    @property
    def path(self) -> str:
        return self.options.confirm_path

    def accepts(self, *, is_confirmed: bool) -> bool:
        return not is_confirmed

    async def act(self, _: Request, token: str, /) -> str:
        await self.messenger.accounts.activate(Activate(token=token))
        return DONE


@frozen
class NewPasswordPage(LetterPage):
    """Sets a password. The domain's rules for passwords are explained, and checked when the form is sent."""

    template = "new_password.html"

    @property
    def path(self) -> str:
        return self.options.new_password_path

    async def act(self, request: Request, token: str, /) -> str:
        try:
            fields = trimmed(
                await form(request)
            )  # as bodies of the API, or it could not be signed in with there
        except Unreadable:
            raise Refused("unfit") from None
        first, second = fields.get("first"), fields.get("second")
        if first != second:
            raise Refused("differ")
        try:
            password = Password(first if isinstance(first, str) else "")
            left = await self.messenger.accounts.choose_password(
                ChoosePassword(token=token, password=password, origin=origin_of(request))
            )
        except PasswordCommon:
            raise Refused("common") from None
        except Invalid:
            raise Refused("unfit") from None
        return WAYS_STAY if left.exist else DONE


def _token(request: Request) -> str:
    return request.query_params.get("token", "")
