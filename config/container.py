"""
Where everything meets.

`Application` takes a set of adapters: `PostgresAdapters`, or `MemoryAdapters` for development and tests, or one of them
with a provider overridden. Nothing else knows dependency-injector, and nothing here is injected behind anybody's back.
"""

from asyncio import Future
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from email.headerregistry import Address
from typing import TypeVar

from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import DependenciesContainer, Dependency, Factory, Object, Singleton
from sqlalchemy.engine import make_url

from application.accounts.authenticate import AuthenticateHandler
from application.accounts.clear_closed import ClearClosedAccountsHandler
from application.accounts.close import CloseAccountHandler
from application.accounts.confirm_email import ConfirmEmailHandler
from application.accounts.create_account import CreateAccountHandler
from application.accounts.disable_account import DisableAccountHandler
from application.accounts.email_status import EmailStatusHandler
from application.accounts.mailed import LetterLimits
from application.accounts.oversee import ListAccountsHandler, ListSessionsOfHandler
from application.accounts.redeem import RedeemTokenHandler
from application.accounts.refresh import RefreshHandler
from application.accounts.reset_password import ResetPasswordHandler
from application.accounts.sessions import (
    ListSessionsHandler,
    RevokeOthersHandler,
    RevokeSessionHandler,
)
from application.accounts.set_password import SetPasswordHandler
from application.accounts.sign_in import SignInHandler
from application.accounts.sign_out import SignOutHandler
from application.accounts.sign_up import SignUpHandler
from application.accounts.signed_in import OpenSession
from application.accounts.tidy import TidyAccountsHandler
from application.actor import Actor
from application.catalogues.fill import FillCataloguesHandler
from application.chats.add_members import AddMembersHandler
from application.chats.change import ChangeChatHandler
from application.chats.change_role import ChangeRoleHandler
from application.chats.create import CreateChatHandler
from application.chats.delete import DeleteChatHandler
from application.chats.open_direct import OpenDirectHandler
from application.chats.purge import PurgeDeletedChatsHandler
from application.chats.remove_member import RemoveMemberHandler
from application.examples.fill import FillExamplesHandler
from application.messages.send import Postponed, SendMessage, SendMessages, Sent
from application.messenger import Messenger
from application.notifications.deliver import DeliverDueLettersHandler
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.limiter import Allowance, Left, Limiter
from application.ports.mailer import Mailer
from application.ports.marking import BeginMarking
from application.ports.meter import Meter, Unmetered
from application.ports.posting import BeginPosting
from application.ports.updates import Updates
from application.profiles.edit import EditProfileHandler
from application.profiles.find import FindProfilesHandler
from application.profiles.read import ReadOwnProfileHandler, ReadProfileHandler
from application.receipts.mark_read import Marked, MarkRead, MarksRead
from application.receipts.mark_single import MarkSingleHandler
from application.updates.typing import ShowTypingHandler
from config.settings import Settings
from domain.account import PasswordRule
from domain.ids import ChatId
from domain.session import Lifetimes
from infrastructure.announcing import Announcing
from infrastructure.crypto.common_passwords import common_passwords
from infrastructure.crypto.passwords import PooledPasswords
from infrastructure.crypto.tokens import JwtTokens
from infrastructure.gather import BatchLimits, Gatherer
from infrastructure.memory.catalogues import MemoryCatalogues
from infrastructure.memory.limiter import MemoryLimiter
from infrastructure.memory.purging import MemoryDeletedChats
from infrastructure.memory.storage import MemoryStorage
from infrastructure.memory.updates import MemoryUpdates
from infrastructure.memory.views import MemoryChanges, MemoryViews
from infrastructure.metered import MeteredChanges, MeteredMailer, metered_begin, metered_use
from infrastructure.overheard import OverheardLimiter
from infrastructure.postgres.catalogues import PostgresCatalogues
from infrastructure.postgres.changes import PostgresChanges
from infrastructure.postgres.driver.batches import BatchConnection
from infrastructure.postgres.driver.engine import make_engine
from infrastructure.postgres.driver.reads import ReadPool
from infrastructure.postgres.marking import PostgresMarkings
from infrastructure.postgres.posting import PostgresPostings
from infrastructure.postgres.purging import PostgresDeletedChats
from infrastructure.postgres.storage import PostgresStorage
from infrastructure.postgres.views import PostgresViews
from infrastructure.repeat import Repeat
from infrastructure.smtp.mailbox import Mailbox
from infrastructure.smtp.mailer import MailServer, Security, SmtpMailer
from infrastructure.smtp.writing import LetterWriter
from infrastructure.system.clock import SystemClock
from infrastructure.system.ids import SystemIds

Asked = tuple[Actor, SendMessage]


AskedToMark = tuple[Actor, MarkRead]
Command = TypeVar("Command")
Answer = TypeVar("Answer")


def chat_of(asked: Asked | AskedToMark) -> ChatId:
    return asked[1].chat_id


def lightly(_: AskedToMark) -> int:
    return 100


def weigh(asked: Asked) -> int:
    """About what its frame will have in bytes. A control character takes six, everything else as much as in UTF-8."""
    text = asked[1].body.text
    return 700 + len(text.encode()) + (0 if text.isprintable() else 5 * sum(c < " " for c in text))


def one_by_one(
    gatherer: Gatherer[tuple[Actor, Command], Answer],
) -> Callable[[Actor, Command], Future[Answer]]:
    """A use case as its callers see it; who shares their batch is none of their business."""
    return lambda actor, command: gatherer.submit((actor, command))


def make_mailer(
    settings: Settings, show: Callable[[str], None], kind: type[LetterWriter] = LetterWriter
) -> Mailer:
    mail, api = settings.mail, settings.api
    user, _, domain = mail.from_email.rpartition("@")
    writer = kind(
        sender=Address(mail.from_name, user, domain),
        confirm_url=f"{api.public_url}{api.prefix}{api.confirmation_path}",
        reset_url=f"{api.public_url}{api.prefix}{api.new_password_path}",
    )
    if mail.server is None:
        return Mailbox(folder=settings.var_dir / "mail", writer=writer, show=show)
    server = MailServer(
        host=mail.server,
        port=mail.port,
        security=Security(mail.security.value),
        username=mail.username,
        password=mail.password,
        timeout=mail.timeout,
    )
    return SmtpMailer(server=server, writer=writer)


def make_password_rule(settings: Settings) -> PasswordRule:
    auth = settings.auth
    common = common_passwords() if auth.refuse_common_passwords else frozenset[str]()
    return PasswordRule(pattern=auth.password_pattern, common=common)


def make_letter_limits(settings: Settings, limiter: Limiter) -> LetterLimits:
    auth, hour = settings.auth, timedelta(hours=1)
    return LetterLimits(
        limiter=limiter,
        per_recipient=Allowance("letters to", auth.letters_per_recipient, hour, is_shared=True),
        per_address=Allowance("letters from", auth.letters_per_address, hour),
    )


def allowed_failures(settings: Settings) -> Allowance:
    return Allowance("wrong passwords", settings.auth.failures, timedelta(hours=1))


def allowed_status(settings: Settings) -> Allowance:
    return Allowance("email status", settings.auth.status_per_address, timedelta(minutes=1))


def make_sending(
    begin: BeginPosting, clock: Clock, ids: Ids, updates: Updates, settings: Settings, meter: Meter
) -> Callable[[Sequence[Asked]], Awaitable[Sequence[object]]]:
    sending = SendMessages(
        begin=Announcing(metered_begin(begin, "messages", meter), updates),
        clock=clock,
        ids=ids,
        interval=settings.chat.min_message_interval,
    )
    return metered_use(sending, "messages", meter)


def make_marking(
    begin: BeginMarking, clock: Clock, updates: Updates, meter: Meter
) -> Callable[[Sequence[AskedToMark]], Awaitable[Sequence[Marked]]]:
    marking = MarksRead(begin=Announcing(metered_begin(begin, "marks", meter), updates), clock=clock)
    return metered_use(marking, "marks", meter)


def conninfo(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def make_lane(settings: Settings, url: str, *, patient: bool) -> BatchConnection:
    return BatchConnection(conninfo(url), deadline=settings.database.deadline, patient=patient)


def make_pictures(settings: Settings, url: str) -> ReadPool:
    return ReadPool(conninfo(url), deadline=settings.database.deadline)


class PostgresAdapters(DeclarativeContainer):
    settings = Dependency(instance_of=Settings)
    url = Dependency(instance_of=str)

    clock = Singleton(SystemClock)
    ids = Singleton(SystemIds)
    engine = Singleton(
        make_engine,
        url,
        size=settings.provided.database.pool_size,
        deadline=settings.provided.database.deadline,
    )
    storage = Singleton(PostgresStorage, engine, deadline=settings.provided.database.deadline)
    begin = storage.provided.begin
    pictures = Singleton(make_pictures, settings, url)
    views = Singleton(PostgresViews, pictures)
    changes = Singleton(PostgresChanges, engine, deadline=settings.provided.database.deadline)
    catalogues = Singleton(PostgresCatalogues, engine, deadline=settings.provided.database.deadline)
    deleted_chats = Singleton(PostgresDeletedChats, engine, deadline=settings.provided.database.deadline)
    lane = Singleton(make_lane, settings, url, patient=False)
    patient_lane = Singleton(make_lane, settings, url, patient=True)
    marking_lane = Singleton(make_lane, settings, url, patient=False)
    begin_posting = Singleton(
        PostgresPostings, lane, settings.provided.chat.min_message_interval
    ).provided.begin
    begin_patient_posting = Singleton(
        PostgresPostings, patient_lane, settings.provided.chat.min_message_interval
    ).provided.begin
    begin_marking = Singleton(PostgresMarkings, marking_lane).provided.begin


class MemoryAdapters(DeclarativeContainer):
    settings = Dependency(instance_of=Settings, default=Settings())

    clock = Singleton(SystemClock)
    ids = Singleton(SystemIds)
    storage = Singleton(MemoryStorage)
    begin = storage.provided.begin
    views = Singleton(MemoryViews, storage)
    changes = Singleton(MemoryChanges, storage)
    catalogues = Singleton(MemoryCatalogues)
    deleted_chats = Singleton(MemoryDeletedChats, storage)
    begin_posting = storage.provided.begin_posting
    begin_patient_posting = storage.provided.begin_patient_posting
    begin_marking = storage.provided.begin_marking


def show_nothing(_: str) -> None:
    """Where no terminal is."""


def hear_nothing(_: Left) -> None:
    """Where no request is answered."""


class Application(DeclarativeContainer):
    adapters = DependenciesContainer()
    settings = adapters.settings

    updates = Singleton(MemoryUpdates)
    begin = Singleton(Announcing, adapters.begin, updates)
    passwords = Singleton(PooledPasswords, threads=settings.provided.auth.hashing_threads)
    tokens = Singleton(
        JwtTokens,
        settings.provided.jwt.secret,
        settings.provided.jwt.issuer,
        settings.provided.jwt.audience,
        settings.provided.jwt.algorithm,
    )
    show_letter = Object(show_nothing)
    meter: Object[Meter] = Object(Unmetered())
    mailer = Singleton(MeteredMailer, Singleton(make_mailer, settings, show_letter), meter)
    lifetimes = Singleton(
        Lifetimes,
        access=settings.provided.jwt.access_lifetime,
        refresh=settings.provided.jwt.refresh_lifetime,
        grace=settings.provided.auth.refresh_grace,
    )
    open_session = Singleton(OpenSession, ids=adapters.ids, lifetimes=lifetimes)
    hear_limit: Object[Callable[[Left], None]] = Object(hear_nothing)
    limiter = Singleton(OverheardLimiter, Singleton(MemoryLimiter), hear_limit)
    password_rule = Singleton(make_password_rule, settings)
    letter_limits = Singleton(make_letter_limits, settings, limiter)
    failures = Singleton(allowed_failures, settings)

    letters = Singleton(
        Repeat,
        once=Singleton(
            DeliverDueLettersHandler,
            begin=begin,
            clock=adapters.clock,
            mailer=mailer,
            tokens=tokens,
            lease=settings.provided.mail.lease,
        ),
        name="letters",
    )
    closed_accounts = Singleton(
        Repeat,
        once=Singleton(ClearClosedAccountsHandler, begin=begin, clock=adapters.clock),
        name="closed accounts",
        every=60.0,
    )
    tidying = Singleton(
        Repeat,
        once=Singleton(TidyAccountsHandler, begin=begin, clock=adapters.clock),
        name="tidying of accounts",
        every=300.0,
        longest=300.0,
    )
    posting: Singleton[Gatherer[Asked, Sent]] = Singleton(
        Gatherer,
        use=Singleton(
            make_sending, adapters.begin_posting, adapters.clock, adapters.ids, updates, settings, meter
        ),
        patient_use=Singleton(
            make_sending,
            adapters.begin_patient_posting,
            adapters.clock,
            adapters.ids,
            updates,
            settings,
            meter,
        ),
        postponed=Object(Postponed),
        key=Object(chat_of),
        weigh=Object(weigh),
        limits=Factory(
            BatchLimits,
            batch=settings.provided.chat.batch_messages,
            per_key=settings.provided.chat.batch_messages_per_chat,
            weight_per_key=settings.provided.chat.batch_bytes_per_chat,
            backlog=settings.provided.chat.send_backlog,
        ),
    )

    marks = Singleton(make_marking, adapters.begin_marking, adapters.clock, updates, meter)
    marking: Singleton[Gatherer[AskedToMark, Marked]] = Singleton(
        Gatherer,
        use=marks,
        patient_use=marks,
        key=Object(chat_of),
        weigh=Object(lightly),
        limits=Factory(BatchLimits, backlog=settings.provided.chat.send_backlog),
    )

    fill_examples = Singleton(
        FillExamplesHandler,
        begin=adapters.begin,
        begin_posting=adapters.begin_patient_posting,
        begin_marking=adapters.begin_marking,
        passwords=passwords,
    )

    purging = Singleton(
        Repeat,
        once=Singleton(
            PurgeDeletedChatsHandler,
            deleted_chats=adapters.deleted_chats,
            clock=adapters.clock,
            keep=settings.provided.chat.purge_after,
        ),
        name="purging",
        every=60.0,
    )
    create_account = Singleton(
        CreateAccountHandler,
        begin=begin,
        clock=adapters.clock,
        ids=adapters.ids,
        passwords=passwords,
        rule=password_rule,
    )
    disable_account = Singleton(DisableAccountHandler, begin=begin, clock=adapters.clock)
    list_accounts = Singleton(ListAccountsHandler, begin=begin)
    list_sessions = Singleton(ListSessionsOfHandler, begin=begin)
    fill_catalogues = Singleton(FillCataloguesHandler, catalogues=adapters.catalogues)

    messenger = Singleton(
        Messenger,
        sign_up=Singleton(
            SignUpHandler,
            begin=begin,
            clock=adapters.clock,
            ids=adapters.ids,
            passwords=passwords,
            rule=password_rule,
            limits=letter_limits,
            confirmation_lifetime=settings.provided.jwt.confirmation_lifetime,
            letter_is_due=letters.provided.wake,
        ),
        confirm_email=Singleton(
            ConfirmEmailHandler,
            begin=begin,
            clock=adapters.clock,
            tokens=tokens,
            open_session=open_session,
        ),
        sign_in=Singleton(
            SignInHandler,
            begin=begin,
            clock=adapters.clock,
            ids=adapters.ids,
            passwords=passwords,
            tokens=tokens,
            open_session=open_session,
            limiter=limiter,
            failures=failures,
            letter_is_due=letters.provided.wake,
        ),
        refresh=Singleton(
            RefreshHandler,
            begin=begin,
            clock=adapters.clock,
            ids=adapters.ids,
            tokens=tokens,
            lifetimes=lifetimes,
        ),
        sign_out=Singleton(
            SignOutHandler,
            begin=begin,
            clock=adapters.clock,
            tokens=tokens,
            lifetimes=lifetimes,
        ),
        authenticate=Singleton(
            AuthenticateHandler, views=adapters.views, clock=adapters.clock, tokens=tokens
        ),
        email_status=Singleton(
            EmailStatusHandler,
            begin=begin,
            clock=adapters.clock,
            limiter=limiter,
            allowance=Singleton(allowed_status, settings),
        ),
        reset_password=Singleton(
            ResetPasswordHandler,
            begin=begin,
            clock=adapters.clock,
            ids=adapters.ids,
            limits=letter_limits,
            lifetime=settings.provided.auth.reset_lifetime,
            letter_is_due=letters.provided.wake,
        ),
        redeem_token=Singleton(
            RedeemTokenHandler,
            begin=begin,
            clock=adapters.clock,
            tokens=tokens,
            open_session=open_session,
        ),
        set_password=Singleton(
            SetPasswordHandler,
            begin=begin,
            clock=adapters.clock,
            ids=adapters.ids,
            passwords=passwords,
            rule=password_rule,
            letter_is_due=letters.provided.wake,
        ),
        list_sessions=Singleton(ListSessionsHandler, begin=begin, clock=adapters.clock),
        revoke_session=Singleton(RevokeSessionHandler, begin=begin, clock=adapters.clock),
        revoke_others=Singleton(RevokeOthersHandler, begin=begin, clock=adapters.clock),
        close_account=Singleton(
            CloseAccountHandler,
            begin=begin,
            clock=adapters.clock,
            passwords=passwords,
            account_is_closed=closed_accounts.provided.wake,
            limiter=limiter,
            failures=failures,
        ),
        read_own_profile=Singleton(ReadOwnProfileHandler, begin=begin),
        read_profile=Singleton(ReadProfileHandler, begin=begin),
        edit_profile=Singleton(EditProfileHandler, begin=begin),
        find_profiles=Singleton(FindProfilesHandler, begin=begin),
        create_chat=Singleton(
            CreateChatHandler,
            begin=begin,
            views=adapters.views,
            clock=adapters.clock,
            ids=adapters.ids,
        ),
        change_chat=Singleton(
            ChangeChatHandler,
            begin=begin,
            views=adapters.views,
            clock=adapters.clock,
        ),
        delete_chat=Singleton(DeleteChatHandler, begin=begin, clock=adapters.clock),
        list_chats=adapters.views.provided.list_chats,
        get_chat=adapters.views.provided.get_chat,
        send_message=Singleton(one_by_one, posting),
        mark_read=Singleton(one_by_one, marking),
        mark_single=Singleton(MarkSingleHandler, begin=begin, clock=adapters.clock),
        readers=adapters.views.provided.readers,
        open_direct=Singleton(
            OpenDirectHandler,
            begin=begin,
            views=adapters.views,
            clock=adapters.clock,
            ids=adapters.ids,
        ),
        add_members=Singleton(
            AddMembersHandler,
            begin=begin,
            views=adapters.views,
            clock=adapters.clock,
        ),
        remove_member=Singleton(RemoveMemberHandler, begin=begin, clock=adapters.clock),
        change_role=Singleton(
            ChangeRoleHandler,
            begin=begin,
            views=adapters.views,
            clock=adapters.clock,
        ),
        members=adapters.views.provided.members,
        show_typing=Singleton(ShowTypingHandler, clock=adapters.clock, updates=updates),
        history=adapters.views.provided.history,
        snapshot=adapters.views.provided.snapshot,
        unread_count=adapters.views.provided.unread_count,
        list_catalogues=adapters.catalogues.provided.headings,
        get_catalogue=adapters.catalogues.provided.get,
        log=adapters.views.provided.log,
        changes=Singleton(MeteredChanges, adapters.changes, meter),
        probe=adapters.views.provided.probe,
    )


@asynccontextmanager
async def closing(application: Application) -> AsyncIterator[None]:
    """An application on PostgreSQL, of which nothing is left open at the end."""
    adapters = application.adapters
    async with AsyncExitStack() as stack:
        stack.callback(application.passwords().close)
        stack.push_async_callback(adapters.engine().dispose)
        for kept in (adapters.lane, adapters.patient_lane, adapters.marking_lane, adapters.pictures):
            stack.push_async_callback(kept().close)
        yield
