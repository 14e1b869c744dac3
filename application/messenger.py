"""Everything that the messenger can do, grouped by feature. Interfaces use nothing else of the application."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence

from attrs import frozen

from application.accounts.access_tokens import EndAccessToken, MadeAccessToken, MakeAccessToken
from application.accounts.activate import Activate
from application.accounts.assign_password import AssignPassword
from application.accounts.authenticate import Authenticate
from application.accounts.choose_password import ChoosePassword
from application.accounts.close import CloseAccount
from application.accounts.confirm_email import ConfirmEmail
from application.accounts.create_account import CreateAccount
from application.accounts.delete_account import DeleteAccount
from application.accounts.disable_account import DisableAccount, EnableAccount
from application.accounts.email_status import EmailStatus
from application.accounts.factors import ConfirmFactor, FactorState, ProveBoth, SetUpFactor
from application.accounts.finish_sign_in import FinishSignIn
from application.accounts.forget_factor import ForgetFactor
from application.accounts.identities import BeginLink, FinishLink, Unlink
from application.accounts.other_ways import OtherWays, OwnWays
from application.accounts.passkey_sign_in import BeginPasskeySignIn, PasskeySignIn
from application.accounts.passkeys import (
    AddPasskey,
    BeginPasskey,
    Ceremony,
    Prove,
    Proved,
    RemovePasskey,
    RenamePasskey,
)
from application.accounts.provider_sign_in import BeginProviderSignIn, FinishProviderSignIn
from application.accounts.read_link import Link, ReadLink
from application.accounts.recent_sessions import RecentSessions
from application.accounts.redeem import RedeemToken
from application.accounts.refresh import Refresh
from application.accounts.reset_password import ResetPassword
from application.accounts.sessions import RevokeOthers, RevokeSession
from application.accounts.set_password import SetPassword
from application.accounts.sign_in import SignIn
from application.accounts.sign_out import SignOut
from application.accounts.sign_up import SignedUp, SignUp
from application.accounts.signed_in import SignedIn
from application.accounts.visits import CameBack, ComeBack, Departure
from application.accounts.ways import OfferedWays
from application.actor import Actor
from application.chats.add_members import AddMembers
from application.chats.change import ChangeChat
from application.chats.change_role import ChangeRole
from application.chats.create import CreateChat
from application.chats.delete import DeleteChat
from application.chats.open_direct import OpenDirect
from application.chats.remove_member import RemoveMember
from application.messages.send import SendMessage, Sent
from application.paging import (
    ChatPlace,
    EventPlace,
    MemberPlace,
    Page,
    Paging,
    PersonPlace,
    ReaderPlace,
    SessionPlace,
)
from application.ports.changes import Changes
from application.ports.codes import NewSecret
from application.ports.own_changes import OwnChanges
from application.ports.updates import ChatUpdate, PresenceUpdate
from application.ports.views import LogSpan, PageAsked, Where
from application.profiles.edit import EditProfile
from application.profiles.find import FindProfiles
from application.profiles.read import ReadProfile
from application.receipts.mark_read import Marked, MarkRead
from application.receipts.mark_single import MarkSingle
from application.updates.typing import ShowTyping
from application.views import (
    ChatDetails,
    ChatView,
    Contact,
    HistoryPage,
    MemberView,
    ProfileView,
    ReaderView,
    Snapshot,
)
from domain.account import Account, Email
from domain.catalogue import Catalogue, Entry
from domain.events import MessagesRead
from domain.identity import Identity
from domain.ids import AccountId, ChatId, MessageId, Position, ProfileId
from domain.passkey import Passkey
from domain.profile import Profile
from domain.security import AccountEvent
from domain.session import Session


@frozen(kw_only=True)
class AccountUseCases:
    sign_up: Callable[[SignUp], Awaitable[SignedUp]]
    confirm_email: Callable[[ConfirmEmail], Awaitable[SignedIn]]
    sign_in: Callable[[SignIn], Awaitable[SignedIn]]
    finish_sign_in: Callable[[FinishSignIn], Awaitable[SignedIn]]
    refresh: Callable[[Refresh], Awaitable[SignedIn]]
    sign_out: Callable[[SignOut], Awaitable[None]]
    authenticate: Callable[[Authenticate], Awaitable[Actor]]
    authenticate_for_page: Callable[
        [Authenticate, PageAsked, Callable[[AccountId], bool]], Awaitable[tuple[Actor, HistoryPage | None]]
    ]
    """Like ``authenticate``, and reads a page of history in the same exchange with storage if it can."""
    recognise: Callable[[Authenticate], Awaitable[Actor]]
    """Like ``authenticate``, but relies on what this process has seen of the session within the last second."""
    email_status: Callable[[EmailStatus], Awaitable[bool]]
    reset_password: Callable[[ResetPassword], Awaitable[None]]
    redeem_token: Callable[[RedeemToken], Awaitable[SignedIn]]
    set_password: Callable[[Actor, SetPassword], Awaitable[None]]
    read_link: Callable[[ReadLink], Awaitable[Link]]
    activate: Callable[[Activate], Awaitable[None]]
    choose_password: Callable[[ChoosePassword], Awaitable[OtherWays]]
    read_ways: Callable[[Actor], Awaitable[OwnWays]]
    close: Callable[[Actor, CloseAccount], Awaitable[None]]


@frozen(kw_only=True)
class FactorUseCases:
    """The second factor of the actor's account."""

    read: Callable[[Actor], Awaitable[FactorState]]
    set_up: Callable[[Actor, SetUpFactor], Awaitable[NewSecret]]
    confirm: Callable[[Actor, ConfirmFactor], Awaitable[Sequence[str]]]
    """Returns recovery codes."""
    renew_recovery_codes: Callable[[Actor, ProveBoth], Awaitable[Sequence[str]]]
    turn_off: Callable[[Actor, ProveBoth], Awaitable[None]]


@frozen(kw_only=True)
class ProviderUseCases:
    """Signing in through providers of identities, and the identities that the actor's account is linked with."""

    ways: Callable[[], Awaitable[OfferedWays]]
    begin: Callable[[BeginProviderSignIn], Awaitable[Departure]]
    come_back: Callable[[ComeBack], Awaitable[CameBack]]
    finish: Callable[[FinishProviderSignIn], Awaitable[SignedIn]]
    list: Callable[[Actor], Awaitable[Sequence[Identity]]]
    begin_link: Callable[[Actor, BeginLink], Awaitable[Departure]]
    finish_link: Callable[[Actor, FinishLink], Awaitable[Identity]]
    unlink: Callable[[Actor, Unlink], Awaitable[None]]


@frozen(kw_only=True)
class PasskeyUseCases:
    """Passkeys of the actor's account, signing in with one, and proving by one who one is."""

    begin_sign_in: Callable[[BeginPasskeySignIn], Awaitable[Ceremony]]
    sign_in: Callable[[PasskeySignIn], Awaitable[SignedIn]]
    list: Callable[[Actor], Awaitable[Sequence[Passkey]]]
    begin: Callable[[Actor, BeginPasskey], Awaitable[Ceremony]]
    add: Callable[[Actor, AddPasskey], Awaitable[Passkey]]
    rename: Callable[[Actor, RenamePasskey], Awaitable[Passkey]]
    remove: Callable[[Actor, RemovePasskey], Awaitable[None]]
    begin_proof: Callable[[Actor], Awaitable[Ceremony]]
    prove: Callable[[Actor, Prove], Awaitable[Proved]]


@frozen(kw_only=True)
class AccessTokenUseCases:
    """The actor's access tokens of programs."""

    list: Callable[[Actor], Awaitable[Sequence[Session]]]
    make: Callable[[Actor, MakeAccessToken], Awaitable[MadeAccessToken]]
    end: Callable[[Actor, EndAccessToken], Awaitable[None]]


@frozen(kw_only=True)
class SessionUseCases:
    """The actor's own sessions."""

    list: Callable[[Actor, Paging[SessionPlace]], Awaitable[Page[Session, SessionPlace]]]
    events: Callable[[Actor, Paging[EventPlace]], Awaitable[Page[AccountEvent, EventPlace]]]
    """Lists what happened to the security of the account."""
    revoke: Callable[[Actor, RevokeSession], Awaitable[None]]
    revoke_others: Callable[[Actor, RevokeOthers], Awaitable[int]]
    """Returns how many sessions it ended."""


@frozen(kw_only=True)
class ProfileUseCases:
    read_own: Callable[[Actor], Awaitable[Profile]]
    read: Callable[[Actor, ReadProfile], Awaitable[ProfileView]]
    edit: Callable[[Actor, EditProfile], Awaitable[Profile]]
    find: Callable[[Actor, FindProfiles], Awaitable[Page[ProfileView, PersonPlace]]]


@frozen(kw_only=True)
class ChatUseCases:
    """Reads take the id of the profile that reads."""

    create: Callable[[Actor, CreateChat], Awaitable[ChatView]]
    change: Callable[[Actor, ChangeChat], Awaitable[ChatView]]
    delete: Callable[[Actor, DeleteChat], Awaitable[None]]
    open_direct: Callable[[Actor, OpenDirect], Awaitable[ChatView]]
    add_members: Callable[[Actor, AddMembers], Awaitable[Sequence[MemberView]]]
    remove_member: Callable[[Actor, RemoveMember], Awaitable[None]]
    change_role: Callable[[Actor, ChangeRole], Awaitable[Sequence[MemberView]]]
    members: Callable[[ProfileId, ChatId, Paging[MemberPlace]], Awaitable[Page[MemberView, MemberPlace]]]
    list: Callable[[ProfileId, Paging[ChatPlace]], Awaitable[Page[ChatView, ChatPlace]]]
    get: Callable[[ProfileId, ChatId], Awaitable[ChatDetails]]


@frozen(kw_only=True)
class MessageUseCases:
    """Messages and read receipts. Reads take the id of the profile that reads."""

    send: Callable[[Actor, SendMessage], Awaitable[Sent]]
    """Takes its place in the order of the chat when it is called, not when it is awaited."""
    mark_read: Callable[[Actor, MarkRead], Awaitable[Marked]]
    mark_single: Callable[[Actor, MarkSingle], Awaitable[MessagesRead | None]]
    readers: Callable[
        [ProfileId, ChatId, MessageId, Paging[ReaderPlace]], Awaitable[Page[ReaderView, ReaderPlace]]
    ]
    show_typing: Callable[[Actor, ShowTyping], Awaitable[None]]
    history: Callable[[ProfileId, ChatId, Where, int], Awaitable[HistoryPage]]
    history_unless_known: Callable[[ProfileId, ChatId, Where, int, Collection[str]], Awaitable[HistoryPage]]
    unread_count: Callable[[ProfileId, ChatId], Awaitable[int]]


@frozen(kw_only=True)
class Feed:
    """The reads that live connections begin with, and from which they catch up when they miss an update."""

    connect: Callable[[Actor], None]
    """Counts a socket or an event stream that is opened. Raises `TooManyRequests`."""
    sync: Callable[[Actor], None]
    """Counts a question for what was missed. Raises `TooManyRequests`."""
    snapshot: Callable[[ProfileId, ChatId, int], Awaitable[Snapshot]]
    log: Callable[[ChatId, Position, int], Awaitable[Sequence[ChatUpdate]]]
    changes: Changes
    logs: Callable[[Sequence[LogSpan]], Awaitable[Sequence[ChatUpdate]]]
    list_chats: Callable[[ProfileId, Paging[ChatPlace]], Awaitable[Page[ChatView, ChatPlace]]]
    some_chats: Callable[[ProfileId, Sequence[ChatId]], Awaitable[Sequence[ChatView]]]
    own_changes: OwnChanges
    recent_sessions: RecentSessions
    """Must be told of ended sessions, and of the actors of sockets that close."""
    watchable: Callable[[ProfileId, Sequence[ProfileId]], Awaitable[Sequence[Contact]]]
    """Returns those whose presence a profile may watch."""
    tell_nodes: Callable[[Sequence[PresenceUpdate]], None]
    """Tells the other nodes about the clients of this one. Nothing of it is stored."""


@frozen(kw_only=True)
class CatalogueUseCases:
    """Reference lists."""

    list: Callable[[], Awaitable[Sequence[Entry]]]
    get: Callable[[str], Awaitable[Catalogue]]


@frozen(kw_only=True)
class Messenger:
    accounts: AccountUseCases
    factors: FactorUseCases
    providers: ProviderUseCases
    passkeys: PasskeyUseCases
    access_tokens: AccessTokenUseCases
    sessions: SessionUseCases
    profiles: ProfileUseCases
    chats: ChatUseCases
    messages: MessageUseCases
    feed: Feed
    catalogues: CatalogueUseCases
    probe: Callable[[], Awaitable[None]]
    """Raises `Unavailable` when storage does not answer."""


@frozen(kw_only=True)
class Administration:
    """The use cases of the command line. They authenticate nobody: access to the machine is the permission."""

    create_account: Callable[[CreateAccount], Awaitable[AccountId]]
    disable_account: Callable[[DisableAccount], Awaitable[int]]
    """Returns how many sessions it ended."""
    enable_account: Callable[[EnableAccount], Awaitable[None]]
    forget_factor: Callable[[ForgetFactor], Awaitable[None]]
    assign_password: Callable[[AssignPassword], Awaitable[int]]
    """Returns how many sessions it ended."""
    delete_account: Callable[[DeleteAccount], Awaitable[int]]
    """Returns how many sessions it ended."""
    clear_closed_accounts: Callable[[], Awaitable[bool]]
    list_accounts: Callable[[], AsyncIterator[Account]]
    list_sessions: Callable[[Email], Awaitable[Sequence[Session]]]
    fill_catalogues: Callable[[], Awaitable[None]]
    fill_examples: Callable[[], Awaitable[None]]
    find_open_examples: Callable[[], Awaitable[Sequence[str]]]
    """Returns the addresses of example people who can be signed in as with the published password."""
