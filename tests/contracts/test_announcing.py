"""
What every use case announces: everything that is stored, once, nothing else, and hints where the outcome is unknown.

The rows are checked against the use cases there are: one that begins units of work and has no row fails.
"""

import importlib
import json
import pkgutil
from base64 import b32decode
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from enum import Enum
from typing import Any, Final, TypeVar

import attrs
import pytest
from attrs import Factory, define, evolve, frozen
from dependency_injector.providers import Object

import application as use_cases
from application import messenger
from application.accounts.access_tokens import (
    EndAccessToken,
    EndAccessTokenHandler,
    ListAccessTokensHandler,
    MakeAccessToken,
    MakeAccessTokenHandler,
    NoteUse,
)
from application.accounts.activate import ActivateHandler
from application.accounts.assign_password import AssignPassword, AssignPasswordHandler
from application.accounts.choose_password import ChoosePassword, ChoosePasswordHandler
from application.accounts.clear_closed import ClearClosedAccountsHandler
from application.accounts.close import CloseAccount, CloseAccountHandler
from application.accounts.confirm_email import ConfirmEmail, ConfirmEmailHandler
from application.accounts.create_account import CreateAccountHandler
from application.accounts.delete_account import DeleteAccount, DeleteAccountHandler
from application.accounts.disable_account import (
    DisableAccount,
    DisableAccountHandler,
    EnableAccountHandler,
)
from application.accounts.email_status import EmailStatusHandler
from application.accounts.factors import (
    ConfirmFactor,
    ConfirmFactorHandler,
    ReadFactorHandler,
    RenewRecoveryCodesHandler,
    SetUpFactor,
    SetUpFactorHandler,
    TurnOffFactorHandler,
)
from application.accounts.finish_sign_in import FinishSignIn, FinishSignInHandler
from application.accounts.forget_factor import ForgetFactorHandler
from application.accounts.identities import (
    BeginLinkHandler,
    FinishLinkHandler,
    ListIdentitiesHandler,
    UnlinkHandler,
)
from application.accounts.other_ways import ReadOwnWaysHandler
from application.accounts.oversee import ListAccountsHandler, ListSessionsOfHandler
from application.accounts.passkey_sign_in import BeginPasskeySignIn, PasskeySignIn, PasskeySignInHandler
from application.accounts.passkeys import (
    AddPasskey,
    AddPasskeyHandler,
    BeginPasskey,
    BeginPasskeyHandler,
    BeginProofHandler,
    ListPasskeysHandler,
    ProveHandler,
    RemovePasskeyHandler,
    RenamePasskeyHandler,
    UsePasskey,
)
from application.accounts.provider_sign_in import (
    BeginProviderSignIn,
    FinishProviderSignIn,
    FinishProviderSignInHandler,
)
from application.accounts.read_link import ReadLinkHandler
from application.accounts.redeem import RedeemToken, RedeemTokenHandler
from application.accounts.refresh import Refresh, RefreshHandler
from application.accounts.reset_password import ResetPasswordHandler
from application.accounts.sessions import (
    ListAccountEventsHandler,
    ListSessionsHandler,
    RevokeOthers,
    RevokeOthersHandler,
    RevokeSession,
    RevokeSessionHandler,
)
from application.accounts.set_password import SetPassword, SetPasswordHandler
from application.accounts.sign_in import SignIn, SignInHandler
from application.accounts.sign_out import SignOut, SignOutHandler
from application.accounts.sign_up import SignUpHandler
from application.accounts.signed_in import OpenSession, SignedIn
from application.accounts.step_up import StepUp
from application.accounts.tidy import TidyAccountsHandler
from application.accounts.visits import ComeBack, EndVisit
from application.actor import Actor
from application.chats.add_members import AddMembers, AddMembersHandler
from application.chats.change import ChangeChat, ChangeChatHandler
from application.chats.change_role import ChangeRole, ChangeRoleHandler
from application.chats.create import CreateChat, CreateChatHandler
from application.chats.delete import DeleteChat, DeleteChatHandler
from application.chats.open_direct import OpenDirect, OpenDirectHandler
from application.chats.remove_member import RemoveMember, RemoveMemberHandler
from application.errors import ApplicationError, OutcomeUnknown, SecondFactorNeeded, Unavailable
from application.examples.fill import FillExamplesHandler
from application.examples.published import FindOpenExamplesHandler
from application.importing.import_original import ImportOriginalHandler
from application.messages.send import SendMessages
from application.notifications.deliver import DeliverDueLettersHandler
from application.ports.changes import News
from application.ports.tokens import ConfirmationToken
from application.ports.updates import Moved, NewMember, NewMessage, Update
from application.profiles.edit import EditProfileHandler
from application.profiles.find import FindProfilesHandler
from application.profiles.read import ReadOwnProfileHandler, ReadProfileHandler
from application.receipts.mark_read import MarkRead, MarkReadBatch
from application.receipts.mark_single import MarkSingle, MarkSingleHandler
from config.container import MemoryAdapters, PostgresAdapters
from config.ports import Storage
from domain.account import Confirmation, Email, Password
from domain.chat import About
from domain.errors import DomainError
from domain.events import (
    ChatAdded,
    ChatChanged,
    ChatRemoved,
    MemberRemoved,
    MessagesRead,
    RoleChanged,
    SessionEnded,
)
from domain.factor import step_at
from domain.passkey import PasskeyName
from domain.role import Role
from domain.scope import TokenName
from domain.session import Fingerprint, Origin
from infrastructure.announcing import Announced
from infrastructure.crypto.codes import totp
from infrastructure.system.ids import SystemIds
from tests.accounts_world import PASSWORD, quick_passwords
from tests.authenticator import Authenticator
from tests.contracts.conftest import ADAPTERS, chosen_database
from tests.world import SETTINGS, MessengerWorld, TickingClock, world

Unit = TypeVar("Unit", bound=Announced)
Act = Callable[[], Awaitable[object]]


class Fault(Enum):
    """What becomes of the commit of a unit of work that has something to announce."""

    NONE = "committed"
    REFUSED = "refused"
    LOST = "nobody knows, and it is not stored"
    UNHEARD = "nobody knows, and it is stored"


@define(eq=False)
class Stage:
    """A messenger whose commits can fail, and an ear for what it announces."""

    here: MessengerWorld
    fault: Fault = Fault.NONE
    open: int = 0
    """Units of work that have begun and not ended."""
    early: list[Update] = Factory(list)
    """What was announced while one was open."""

    def hear(self, updates: Sequence[Update]) -> None:
        if self.open:
            self.early += updates

    async def committed(self, row: "Row") -> None:
        """Everything that is stored is announced, once, and nothing else."""
        told, news, _ = await self._play(row, Fault.NONE)
        assert tuple(type(update) for update in told) == row.announces
        personal = [u for u in told if isinstance(u, ChatAdded | ChatRemoved | SessionEnded)]
        assert Counter(personal) == Counter(news.personal)
        positions = [
            (u.chat_id, u.position)
            for u in told
            if isinstance(u, NewMessage | ChatChanged | NewMember | MemberRemoved | RoleChanged)
        ]
        assert len(set(positions)) == len(positions)
        assert dict(sorted(positions, key=lambda each: each[1])) == news.moved
        ranges = [(u.reader_id, u.from_seq, u.to_seq) for u in told if isinstance(u, MessagesRead)]
        assert ranges == [(read.reader_id, read.from_seq, read.to_seq) for read in news.read]

    async def refused(self, row: "Row") -> None:
        told, news, error = await self._play(row, Fault.REFUSED)
        assert error is Unavailable
        assert (told, _is_empty(news)) == ([], True)

    async def unknown(self, row: "Row", fault: Fault) -> None:
        """There is a hint for each chat, once, whether or not it is stored."""
        told, news, error = await self._play(row, fault)
        assert error is OutcomeUnknown
        assert _is_empty(news) == (fault is Fault.LOST)
        hinted = [(type(u), u.chat_id, u.position) for u in told if isinstance(u, Moved)]
        assert len(set(hinted)) == len(told)
        assert {position for _, _, position in hinted} <= {None}
        assert news.moved.keys() <= {chat_id for _, chat_id, _ in hinted}

    async def _play(self, row: "Row", fault: Fault) -> tuple[list[Update], News, type[Exception] | None]:
        """What was announced, what is stored, and the refusal."""
        act = await row.prepare(Scene(self.here))
        cursor = await self.here.messenger.feed.changes.now()
        self.here.published.clear()
        self.fault = fault
        error = await outcome(act)
        self.fault = Fault.NONE
        told = list(self.here.published)
        return told, await self.here.messenger.feed.changes.since(cursor), error


def _is_empty(news: News) -> bool:
    return not (news.moved or news.personal or news.read)


@define(eq=False)
class Begins:
    """Begins units of work that end as the stage wants it."""

    begin: Callable[[], AbstractAsyncContextManager[Any]]
    stage: Stage | None = None

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[Any]:
        stage = self.stage
        assert stage is not None
        stage.open += 1
        fault = Fault.NONE
        try:
            async with self.begin() as unit:
                yield unit
                if unit.pending_updates:
                    fault = stage.fault
                if fault is Fault.REFUSED:
                    raise Unavailable
                if fault is Fault.LOST:
                    raise OutcomeUnknown
        finally:
            stage.open -= 1
        if fault is Fault.UNHEARD:
            raise OutcomeUnknown


@pytest.fixture(params=ADAPTERS)
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    clock, ids = Object(TickingClock(step=timedelta(milliseconds=1))), Object(SystemIds())
    adapters: MemoryAdapters | PostgresAdapters
    if request.param == "memory":
        adapters = MemoryAdapters(settings=SETTINGS, clock=clock, ids=ids)
    else:
        url, settings = chosen_database(request)
        adapters = PostgresAdapters(settings=settings, url=url, clock=clock, ids=ids)
    stored: Storage = adapters.storage()
    begins = Begins(stored.begin), Begins(stored.begin_posting), Begins(stored.begin_marking)
    begin, begin_posting, begin_marking = begins
    staged = evolve(stored, begin=begin, begin_posting=begin_posting, begin_marking=begin_marking)
    adapters.storage.override(Object(staged))
    async with AsyncExitStack() as stack:
        if request.param != "memory":
            stack.push_async_callback(adapters.engine().dispose)
            for kept in (
                adapters.posting_connection,
                adapters.patient_posting_connection,
                adapters.marking_connection,
                adapters.read_pool,
            ):
                stack.push_async_callback(kept().close)
        here = await stack.enter_async_context(world(adapters))
        here.application.passwords.override(Object(passwords := quick_passwords()))
        stack.callback(passwords.close)
        stage = Stage(here)
        for each in begins:
            each.stage = stage
        here.application.updates().subscribe(stage.hear)
        yield stage


@frozen
class Row:
    prepare: Callable[["Scene"], Awaitable[Act]]
    """Does what has to be there before, and returns what to do."""
    announces: tuple[type[Update], ...]
    """In this order."""


ROWS: Final[dict[type[object], Row]] = {}
QUIET: Final = {
    ActivateHandler,
    AddPasskeyHandler,
    BeginLinkHandler,
    BeginPasskeyHandler,
    BeginProofHandler,
    ConfirmFactorHandler,
    CreateAccountHandler,
    DeliverDueLettersHandler,
    EnableAccountHandler,
    EditProfileHandler,
    EmailStatusHandler,
    FillExamplesHandler,
    FindOpenExamplesHandler,
    EndVisit,
    FindProfilesHandler,
    FinishLinkHandler,
    ForgetFactorHandler,
    ImportOriginalHandler,
    ListAccessTokensHandler,
    ListAccountsHandler,
    ListSessionsHandler,
    ListAccountEventsHandler,
    ListSessionsOfHandler,
    MakeAccessTokenHandler,
    NoteUse,
    ListIdentitiesHandler,
    ListPasskeysHandler,
    ProveHandler,
    ReadFactorHandler,
    ReadOwnWaysHandler,
    RemovePasskeyHandler,
    RenamePasskeyHandler,
    ReadLinkHandler,
    ReadOwnProfileHandler,
    ReadProfileHandler,
    RenewRecoveryCodesHandler,
    ResetPasswordHandler,
    SetUpFactorHandler,
    SignUpHandler,
    StepUp,
    TurnOffFactorHandler,
    UnlinkHandler,
    UsePasskey,
}
"""They change nothing that listeners hear of, or nobody listens yet."""

WORKING = {"begin", "step_up"}
"""The dependencies that begin a unit of work."""

Prepare = Callable[["Scene"], Awaitable[Act]]


def row(handler: type[object], *announces: type[Update]) -> Callable[[Prepare], Prepare]:
    def add(prepare: Prepare) -> Prepare:
        ROWS[handler] = Row(prepare, announces)
        return prepare

    return add


@frozen
class Someone:
    actor: Actor
    signed_in: SignedIn

    @property
    def email(self) -> Email:
        return Email(self.actor.email)


@define(eq=False)
class Scene:
    here: MessengerWorld

    async def someone(self, name: str = "Ann", *, is_confirmed: bool = True) -> Someone:
        person = await self.here.person(name)
        hashed = await self.here.application.passwords().hash(PASSWORD)
        async with self.here.begin() as work:
            account = await work.accounts.lock(person.actor.account_id)
            if is_confirmed:
                account.change_password(hashed)
            else:
                account.confirmed_at = None
            await work.accounts.save(account)
            session = await work.sessions.lock(account.id, person.actor.session_id)
        tokens = self.here.application.tokens()
        return Someone(
            person.actor, SignedIn.to(session, account.email.text, tokens, at=session.pair.issued_at)
        )

    async def elsewhere(self, someone: Someone) -> None:
        """They sign in on another device as well."""
        at = self.here.application.adapters.clock().now()
        async with self.here.begin() as work:
            account = await work.accounts.lock(someone.actor.account_id)
            application = self.here.application
            open_session = OpenSession(
                ids=application.adapters.ids(),
                lifetimes=application.account_rules().sessions,
                codes=application.codes(),
            )
            await open_session.by_both(work, account, Fingerprint("elsewhere"), Origin(), at=at)

    async def letter(self, someone: Someone) -> str:
        """The token in a letter to them."""
        adapters = self.here.application.adapters
        at = adapters.clock().now().replace(microsecond=0)
        confirmation = Confirmation(
            id=adapters.ids().confirmation(),
            account_id=someone.actor.account_id,
            email=someone.email,
            password_hash=None,
            issued_at=at,
            expires_at=at + timedelta(days=1),
        )
        async with self.here.begin() as work:
            await work.confirmations.add(confirmation)
        token = ConfirmationToken(
            account_id=confirmation.account_id,
            email=someone.email.text,
            confirmation_id=confirmation.id,
            issued_at=confirmation.issued_at,
            expires_at=confirmation.expires_at,
        )
        signed: str = self.here.application.tokens().sign(token)
        return signed


@row(ClearClosedAccountsHandler, MemberRemoved, RoleChanged, ChatRemoved)
async def clear_closed(scene: Scene) -> Act:
    ann, bob = await scene.someone(), await scene.someone("Bob")
    await scene.here.chat(ann.actor, bob.actor)
    await scene.here.messenger.accounts.close(ann.actor, CloseAccount(password=PASSWORD))
    once: Act = scene.here.application.workers().closed_accounts.once
    return once


@row(CloseAccountHandler, SessionEnded)
async def close(scene: Scene) -> Act:
    ann = await scene.someone()
    return lambda: scene.here.messenger.accounts.close(ann.actor, CloseAccount(password=PASSWORD))


@row(ConfirmEmailHandler, SessionEnded)
async def confirm_email(scene: Scene) -> Act:
    ann = await scene.someone(is_confirmed=False)
    command = ConfirmEmail(token=await scene.letter(ann), fingerprint=Fingerprint("first"))
    return lambda: scene.here.messenger.accounts.confirm_email(command)


@row(ChoosePasswordHandler, SessionEnded)
async def choose_password(scene: Scene) -> Act:
    token = await scene.letter(await scene.someone())
    command = ChoosePassword(token=token, password=Password("Another-One1"))
    return lambda: scene.here.messenger.accounts.choose_password(command)


@row(RedeemTokenHandler, SessionEnded)
async def redeem(scene: Scene) -> Act:
    command = RedeemToken(token=await scene.letter(await scene.someone()), fingerprint=Fingerprint("first"))
    return lambda: scene.here.messenger.accounts.redeem_token(command)


@row(SignInHandler, SessionEnded)
async def sign_in(scene: Scene) -> Act:
    ann = await scene.someone()
    command = SignIn(email=ann.email, password=PASSWORD, fingerprint=Fingerprint("first"))
    return lambda: scene.here.messenger.accounts.sign_in(command)


@row(FinishSignInHandler, SessionEnded)
async def finish_sign_in(scene: Scene) -> Act:
    ann = await scene.someone()
    messenger, clock = scene.here.messenger, scene.here.application.adapters.clock()
    made = await messenger.factors.set_up(ann.actor, SetUpFactor(password=PASSWORD))
    code = totp(b32decode(made.shown), step_at(clock.now()))
    recovery, *_ = await messenger.factors.confirm(ann.actor, ConfirmFactor(code=code))
    with pytest.raises(SecondFactorNeeded) as needed:
        await messenger.accounts.sign_in(
            SignIn(email=ann.email, password=PASSWORD, fingerprint=Fingerprint("first"))
        )
    command = FinishSignIn(pending_token=needed.value.pending_token, code=recovery)
    return lambda: messenger.accounts.finish_sign_in(command)


@row(FinishProviderSignInHandler, SessionEnded)
async def finish_provider_sign_in(scene: Scene) -> Act:
    ann, providers = await scene.someone(), scene.here.messenger.providers
    departure = await providers.begin(
        BeginProviderSignIn(provider="example", fingerprint=Fingerprint("first"))
    )
    state = departure.url.partition("state=")[2]
    back = await providers.come_back(
        ComeBack(provider="example", visit=departure.visit, state=state, code=ann.email.text)
    )
    command = FinishProviderSignIn(visit=back.visit)
    return lambda: providers.finish(command)


@row(PasskeySignInHandler, SessionEnded)
async def passkey_sign_in(scene: Scene) -> Act:
    ann, passkeys, device = await scene.someone(), scene.here.messenger.passkeys, Authenticator()
    begun = await passkeys.begin(ann.actor, BeginPasskey(password=PASSWORD))
    made = device.make(json.loads(json.dumps(begun.options)))
    await passkeys.add(ann.actor, AddPasskey(token=begun.token, credential=made, name=PasskeyName("phone")))
    asked = await passkeys.begin_sign_in(BeginPasskeySignIn())
    command = PasskeySignIn(
        token=asked.token,
        credential=device.use(json.loads(json.dumps(asked.options))),
        fingerprint=Fingerprint("first"),
    )
    return lambda: passkeys.sign_in(command)


@row(RefreshHandler, SessionEnded)
async def refresh(scene: Scene) -> Act:
    ann = await scene.someone()
    stolen = Refresh(token=ann.signed_in.refresh_token, fingerprint=Fingerprint("of a thief"))
    return lambda: scene.here.messenger.accounts.refresh(stolen)


@row(SignOutHandler, SessionEnded)
async def sign_out(scene: Scene) -> Act:
    ann = await scene.someone()
    return lambda: scene.here.messenger.accounts.sign_out(SignOut(access_token=ann.signed_in.access_token))


@row(RevokeSessionHandler, SessionEnded)
async def revoke_session(scene: Scene) -> Act:
    ann = await scene.someone()
    command = RevokeSession(session_id=ann.actor.session_id)
    return lambda: scene.here.messenger.sessions.revoke(ann.actor, command)


@row(EndAccessTokenHandler, SessionEnded)
async def end_access_token(scene: Scene) -> Act:
    ann, tokens = await scene.someone(), scene.here.messenger.access_tokens
    wanted = MakeAccessToken(name=TokenName("bot"), scopes=frozenset(), password=PASSWORD)
    command = EndAccessToken(token_id=(await tokens.make(ann.actor, wanted)).session.id)
    return lambda: tokens.end(ann.actor, command)


@row(RevokeOthersHandler, SessionEnded)
async def revoke_others(scene: Scene) -> Act:
    ann = await scene.someone()
    await scene.elsewhere(ann)
    return lambda: scene.here.messenger.sessions.revoke_others(ann.actor, RevokeOthers(password=PASSWORD))


@row(SetPasswordHandler, SessionEnded)
async def set_password(scene: Scene) -> Act:
    ann = await scene.someone()
    await scene.elsewhere(ann)
    command = SetPassword(password=Password("Another-Horse"))
    return lambda: scene.here.messenger.accounts.set_password(ann.actor, command)


@row(DisableAccountHandler, SessionEnded)
async def disable(scene: Scene) -> Act:
    ann = await scene.someone()
    return lambda: scene.here.application.administration().disable_account(DisableAccount(email=ann.email))


@row(AssignPasswordHandler, SessionEnded)
async def assign_password(scene: Scene) -> Act:
    ann = await scene.someone()
    command = AssignPassword(email=ann.email, password=Password("Another-Horse"))
    return lambda: scene.here.application.administration().assign_password(command)


@row(DeleteAccountHandler, SessionEnded)
async def delete_account(scene: Scene) -> Act:
    ann = await scene.someone()
    return lambda: scene.here.application.administration().delete_account(DeleteAccount(email=ann.email))


@row(TidyAccountsHandler, SessionEnded)
async def tidy(scene: Scene) -> Act:
    await scene.someone()
    scene.here.application.adapters.clock().at += timedelta(days=365)
    once: Act = scene.here.application.workers().tidying.once
    return once


@row(CreateChatHandler, ChatAdded, ChatAdded)
async def create_chat(scene: Scene) -> Act:
    ann, bob = await scene.someone(), await scene.someone("Bob")
    command = CreateChat(about=About("A chat"), member_ids=(bob.actor.profile_id,))
    return lambda: scene.here.messenger.chats.create(ann.actor, command)


@row(OpenDirectHandler, ChatAdded, ChatAdded)
async def open_direct(scene: Scene) -> Act:
    ann, bob = await scene.someone(), await scene.someone("Bob")
    command = OpenDirect(profile_id=bob.actor.profile_id)
    return lambda: scene.here.messenger.chats.open_direct(ann.actor, command)


@row(ChangeChatHandler, ChatChanged, NewMember, ChatAdded)
async def change_chat(scene: Scene) -> Act:
    ann, bob = await scene.someone(), await scene.someone("Bob")
    chat_id = await scene.here.chat(ann.actor)
    command = ChangeChat(chat_id=chat_id, name="Another", member_ids=(bob.actor.profile_id,))
    return lambda: scene.here.messenger.chats.change(ann.actor, command)


@row(AddMembersHandler, NewMember, NewMember, ChatAdded, ChatAdded)
async def add_members(scene: Scene) -> Act:
    ann, *others = [await scene.someone(name) for name in ("Ann", "Bob", "Cid")]
    chat_id = await scene.here.chat(ann.actor)
    ids = tuple(other.actor.profile_id for other in others)
    return lambda: scene.here.messenger.chats.add_members(
        ann.actor, AddMembers(chat_id=chat_id, profile_ids=ids)
    )


@row(ChangeRoleHandler, RoleChanged, RoleChanged)
async def change_role(scene: Scene) -> Act:
    ann, bob = await scene.someone(), await scene.someone("Bob")
    chat_id = await scene.here.chat(ann.actor, bob.actor)
    command = ChangeRole(chat_id=chat_id, profile_id=bob.actor.profile_id, role=Role.OWNER)
    return lambda: scene.here.messenger.chats.change_role(ann.actor, command)


@row(RemoveMemberHandler, MemberRemoved, RoleChanged, ChatRemoved)
async def leave(scene: Scene) -> Act:
    ann, bob = await scene.someone(), await scene.someone("Bob")
    chat_id = await scene.here.chat(ann.actor, bob.actor)
    command = RemoveMember(chat_id=chat_id, profile_id=ann.actor.profile_id)
    return lambda: scene.here.messenger.chats.remove_member(ann.actor, command)


@row(DeleteChatHandler, ChatRemoved, ChatRemoved)
async def delete_chat(scene: Scene) -> Act:
    ann, bob = await scene.someone(), await scene.someone("Bob")
    chat_id = await scene.here.chat(ann.actor, bob.actor)
    return lambda: scene.here.messenger.chats.delete(ann.actor, DeleteChat(chat_id=chat_id))


@row(SendMessages, NewMessage)
async def send(scene: Scene) -> Act:
    ann = await scene.someone()
    chat_id = await scene.here.chat(ann.actor)
    return lambda: scene.here.say(ann.actor, chat_id, "Hello", nonce="n")


@row(MarkReadBatch, MessagesRead)
async def mark_read(scene: Scene) -> Act:
    ann, bob = await scene.someone(), await scene.someone("Bob")
    chat_id = await scene.here.chat(ann.actor, bob.actor)
    said = await scene.here.say(ann.actor, chat_id, "Hello")
    command = MarkRead(chat_id=chat_id, up_to=said.event.message.id)
    return lambda: scene.here.messenger.messages.mark_read(bob.actor, command)


@row(MarkSingleHandler, MessagesRead)
async def mark_single(scene: Scene) -> Act:
    ann, bob = await scene.someone(), await scene.someone("Bob")
    chat_id = await scene.here.chat(ann.actor, bob.actor)
    said = await scene.here.say(ann.actor, chat_id, "Hello")
    command = MarkSingle(chat_id=chat_id, message_id=said.event.message.id)
    return lambda: scene.here.messenger.messages.mark_single(bob.actor, command)


def test_every_use_case_has_a_row() -> None:
    modules = pkgutil.walk_packages(use_cases.__path__, "application.")
    found = {
        each
        for module in (importlib.import_module(info.name) for info in modules)
        for each in vars(module).values()
        if isinstance(each, type)
        and each.__module__ == module.__name__ != messenger.__name__  # its fields are use cases
        and attrs.has(each)
        and any(field.name in WORKING for field in attrs.fields(each))
    }
    assert found == ROWS.keys() | QUIET
    assert not ROWS.keys() & QUIET


@pytest.mark.parametrize("handler", ROWS, ids=lambda handler: handler.__name__)
async def test_what_is_announced(stage: Stage, handler: type[object]) -> None:
    row = ROWS[handler]
    await stage.committed(row)
    await stage.refused(row)
    for fault in (Fault.LOST, Fault.UNHEARD):
        await stage.unknown(row, fault)
    assert stage.early == [], "nothing before the commit"


async def outcome(act: Act) -> type[Exception] | None:
    try:
        await act()
    except (ApplicationError, DomainError) as error:
        return type(error)
    return None
