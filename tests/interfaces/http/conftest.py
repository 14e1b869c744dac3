from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from attrs import define, field, frozen
from starlette.applications import Starlette

from application.accounts.authenticate import Authenticate
from application.accounts.confirm_email import ConfirmEmail
from application.accounts.sign_up import SignUp
from application.actor import Actor
from application.chats.add_members import AddMembersHandler
from application.chats.change import ChangeChatHandler
from application.chats.change_role import ChangeRoleHandler
from application.chats.create import CreateChatHandler
from application.chats.delete import DeleteChatHandler
from application.chats.open_direct import OpenDirectHandler
from application.chats.remove_member import RemoveMemberHandler
from application.messages.send import SendMessage, SendMessages, Sent
from application.messenger import Messenger
from application.notifications.deliver import DeliverDueLettersHandler
from application.receipts.mark_read import Marked, MarkRead, MarksRead
from application.receipts.mark_single import MarkSingleHandler
from application.updates.typing import ShowTypingHandler
from domain.account import Email, Password
from domain.errors import DomainError
from domain.ids import ChatId
from domain.message import Body
from domain.notification import Letter
from domain.session import Fingerprint
from infrastructure.announcing import Announcing
from infrastructure.crypto.tokens import JwtTokens
from infrastructure.memory.catalogues import MemoryCatalogues
from infrastructure.memory.limiter import MemoryLimiter
from infrastructure.memory.storage import MemoryStorage
from infrastructure.memory.updates import MemoryUpdates
from infrastructure.memory.views import MemoryChanges, MemoryViews
from infrastructure.overheard import OverheardLimiter
from infrastructure.system.ids import SystemIds
from interfaces.app import create_app
from interfaces.http.limits import hear
from interfaces.http.options import HttpOptions
from interfaces.http.routes import Endpoint
from tests.accounts_world import AccountsWorld, SettableClock
from tests.interfaces.http.promises import Promises

FRONT = "http://localhost:5173"
PASSWORD = "Password1"

INTERVAL = timedelta(seconds=0.5)
"""Within which nobody says the same twice."""


@define
class Mailbox:
    tokens: list[str] = field(factory=list)

    async def send(self, _: Letter, token: str | None) -> None:
        if token is not None:
            self.tokens.append(token)


@frozen
class Person:
    """Somebody signed up, confirmed and signed in, with a client that presents the token."""

    actor: Actor
    token: str
    client: httpx.AsyncClient

    @property
    def id(self) -> str:
        return str(self.actor.profile_id)


@define
class World:
    """A messenger in memory, and what a test may do to it from outside."""

    messenger: Messenger
    storage: MemoryStorage
    catalogues: MemoryCatalogues
    clock: SettableClock
    mailbox: Mailbox
    deliver: Callable[[], Awaitable[bool]]
    accounts: AccountsWorld

    def app(self, **options: Any) -> Starlette:
        return create_app(
            self.messenger,
            HttpOptions(cors_origins=(FRONT,), **options),
            new_request_id=lambda: "made-here",
        )

    def client(self, token: str | None = None, *, promised: bool = True, **options: Any) -> httpx.AsyncClient:
        """Whatever comes to it is held to the document. Not ``promised``: where use cases are made to do what none does."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        app = self.app(**options)
        promises = Promises(
            [route for route in app.routes if isinstance(route, Endpoint)], HttpOptions(**options)
        )
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://server",
            headers=headers,
            event_hooks={"response": [promises.hold]} if promised else {},
        )

    async def letter_to(self, email: str, password: str = PASSWORD) -> str:
        """Sign up, and take the token out of the letter."""
        await self.messenger.sign_up(SignUp(email=Email(email), password=Password(password)))
        await self.deliver()
        return self.mailbox.tokens[-1]

    async def person(self, email: str) -> Person:
        token = await self.letter_to(email)
        command = ConfirmEmail(token=token, fingerprint=Fingerprint("test"))
        signed_in = await self.messenger.confirm_email(command)
        actor = await self.messenger.authenticate(Authenticate(token=signed_in.access_token))
        return Person(actor, signed_in.access_token, self.client(signed_in.access_token))

    async def say(self, person: Person, chat_id: str, *texts: str) -> None:
        for text in texts:
            self.clock.at += timedelta(seconds=1)
            command = SendMessage(chat_id=ChatId(UUID(chat_id)), body=Body(text))
            await self.messenger.send_message(person.actor, command)


@pytest.fixture
def world() -> World:
    return make_world()


def make_world() -> World:
    clock = SettableClock(datetime(2026, 11, 23, 3, 34, 9, 900840, UTC))
    storage, updates, ids, mailbox = MemoryStorage(), MemoryUpdates(), SystemIds(), Mailbox()
    views, catalogues, begin = MemoryViews(storage), MemoryCatalogues(), Announcing(storage.begin, updates)
    accounts = AccountsWorld(
        storage.begin,
        views,
        Path("nowhere"),  # letters go to the other mailbox, which keeps tokens alone
        clock=clock,
        ids=ids,
        tokens=JwtTokens("k" * 32, "messenger", "messenger"),
        updates=updates,
        limiter=OverheardLimiter(MemoryLimiter(), hear),
    )
    send_messages = SendMessages(
        begin=Announcing(storage.begin_patient_posting, updates), clock=clock, ids=ids, interval=INTERVAL
    )
    marks_read = MarksRead(begin=Announcing(storage.begin_marking, updates), clock=clock)

    async def send_message(actor: Actor, command: SendMessage) -> Sent:
        (answer,) = await send_messages([(actor, command)])
        if isinstance(answer, DomainError):
            raise answer
        assert isinstance(answer, Sent)
        return answer

    async def mark_read(actor: Actor, command: MarkRead) -> Marked:
        (marked,) = await marks_read([(actor, command)])
        return marked

    messenger = Messenger(
        sign_up=accounts.sign_up,
        confirm_email=accounts.confirm_email,
        sign_in=accounts.sign_in,
        refresh=accounts.refresh,
        sign_out=accounts.sign_out,
        authenticate=accounts.authenticate,
        email_status=accounts.email_status,
        reset_password=accounts.reset_password,
        redeem_token=accounts.redeem_token,
        set_password=accounts.set_password,
        list_sessions=accounts.list_sessions,
        revoke_session=accounts.revoke_session,
        revoke_others=accounts.revoke_others,
        close_account=accounts.close_account,
        read_own_profile=accounts.read_own_profile,
        read_profile=accounts.read_profile,
        edit_profile=accounts.edit_profile,
        find_profiles=accounts.find_profiles,
        create_chat=CreateChatHandler(begin=begin, views=views, clock=clock, ids=ids),
        change_chat=ChangeChatHandler(begin=begin, views=views, clock=clock),
        delete_chat=DeleteChatHandler(begin=begin, clock=clock),
        open_direct=OpenDirectHandler(begin=begin, views=views, clock=clock, ids=ids),
        add_members=AddMembersHandler(begin=begin, views=views, clock=clock),
        remove_member=RemoveMemberHandler(begin=begin, clock=clock),
        change_role=ChangeRoleHandler(begin=begin, views=views, clock=clock),
        members=views.members,
        list_chats=views.list_chats,
        get_chat=views.get_chat,
        send_message=send_message,
        mark_read=mark_read,
        mark_single=MarkSingleHandler(begin=begin, clock=clock),
        readers=views.readers,
        show_typing=ShowTypingHandler(clock=clock, updates=updates),
        history=views.history,
        snapshot=views.snapshot,
        unread_count=views.unread_count,
        list_catalogues=catalogues.headings,
        get_catalogue=catalogues.get,
        log=views.log,
        changes=MemoryChanges(storage),
        probe=views.probe,
    )
    deliver = DeliverDueLettersHandler(begin=begin, clock=clock, mailer=mailbox, tokens=accounts.tokens)
    return World(messenger, storage, catalogues, clock, mailbox, deliver, accounts)
