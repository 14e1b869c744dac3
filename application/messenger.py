"""Everything the messenger can do, by name: the one thing that interfaces see."""

from collections.abc import Awaitable, Callable, Sequence

from attrs import frozen

from application.accounts.authenticate import Authenticate
from application.accounts.confirm_email import ConfirmEmail
from application.accounts.email_status import EmailStatus
from application.accounts.refresh import Refresh
from application.accounts.sign_in import SignIn
from application.accounts.sign_out import SignOut
from application.accounts.sign_up import SignedUp, SignUp
from application.accounts.signed_in import SignedIn
from application.actor import Actor
from application.chats.add_members import AddMembers
from application.chats.change import ChangeChat
from application.chats.change_role import ChangeRole
from application.chats.create import CreateChat
from application.chats.delete import DeleteChat
from application.chats.open_direct import OpenDirect
from application.chats.remove_member import RemoveMember
from application.messages.send import SendMessage, Sent
from application.ports.changes import Changes
from application.ports.updates import ChatUpdate
from application.ports.views import Where
from application.profiles.edit import EditProfile
from application.profiles.find import FindProfiles
from application.profiles.read import ReadProfile
from application.receipts.mark_read import Marked, MarkRead
from application.receipts.mark_single import MarkSingle
from application.updates.typing import ShowTyping
from application.views import (
    ChatDetails,
    ChatView,
    HistoryPage,
    MemberView,
    ProfileView,
    ReaderView,
    Snapshot,
)
from domain.catalogue import Catalogue, Entry
from domain.events import MessagesRead
from domain.ids import ChatId, MessageId, Position, ProfileId
from domain.profile import Profile


@frozen(kw_only=True)
class Messenger:
    # accounts and profiles
    sign_up: Callable[[SignUp], Awaitable[SignedUp]]
    confirm_email: Callable[[ConfirmEmail], Awaitable[SignedIn]]
    sign_in: Callable[[SignIn], Awaitable[SignedIn]]
    refresh: Callable[[Refresh], Awaitable[SignedIn]]
    sign_out: Callable[[SignOut], Awaitable[None]]
    authenticate: Callable[[Authenticate], Awaitable[Actor]]
    email_status: Callable[[EmailStatus], Awaitable[bool]]
    read_own_profile: Callable[[Actor], Awaitable[Profile]]
    read_profile: Callable[[Actor, ReadProfile], Awaitable[ProfileView]]
    edit_profile: Callable[[Actor, EditProfile], Awaitable[Profile]]
    find_profiles: Callable[[Actor, FindProfiles], Awaitable[Sequence[ProfileView]]]

    # chats
    create_chat: Callable[[Actor, CreateChat], Awaitable[ChatView]]
    change_chat: Callable[[Actor, ChangeChat], Awaitable[ChatView]]
    delete_chat: Callable[[Actor, DeleteChat], Awaitable[None]]
    open_direct: Callable[[Actor, OpenDirect], Awaitable[ChatView]]
    add_members: Callable[[Actor, AddMembers], Awaitable[Sequence[MemberView]]]
    remove_member: Callable[[Actor, RemoveMember], Awaitable[None]]
    change_role: Callable[[Actor, ChangeRole], Awaitable[Sequence[MemberView]]]
    members: Callable[[ProfileId, ChatId], Awaitable[Sequence[MemberView]]]
    list_chats: Callable[[ProfileId], Awaitable[Sequence[ChatView]]]
    get_chat: Callable[[ProfileId, ChatId], Awaitable[ChatDetails]]

    # messages and what was read
    send_message: Callable[[Actor, SendMessage], Awaitable[Sent]]
    """Takes its place in the order of the chat when it is called, not when it is awaited."""
    mark_read: Callable[[Actor, MarkRead], Awaitable[Marked]]
    mark_single: Callable[[Actor, MarkSingle], Awaitable[MessagesRead | None]]
    readers: Callable[[ProfileId, ChatId, MessageId], Awaitable[Sequence[ReaderView]]]
    show_typing: Callable[[Actor, ShowTyping], Awaitable[None]]
    history: Callable[[ProfileId, ChatId, Where, int], Awaitable[HistoryPage]]
    snapshot: Callable[[ProfileId, ChatId, int], Awaitable[Snapshot]]
    unread_count: Callable[[ProfileId, ChatId], Awaitable[int]]

    # reference lists
    list_catalogues: Callable[[], Awaitable[Sequence[Entry]]]
    get_catalogue: Callable[[str], Awaitable[Catalogue]]

    # what listeners heal from
    log: Callable[[ChatId, Position, int], Awaitable[Sequence[ChatUpdate]]]
    changes: Changes

    probe: Callable[[], Awaitable[None]]
    """Raises `Unavailable` when storage does not answer."""
