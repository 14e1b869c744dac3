"""How to make one of everything that is said and read. Accounts have theirs beside their tests."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from application.ports.updates import (
    Attendance,
    AttendingThere,
    LimitUsed,
    Moved,
    NewMember,
    NewMessage,
    OnlineThere,
    Typing,
    Update,
    WhoIsThere,
)
from application.ports.views import After, Around, Before, Newest, PageNumber, Where
from application.views import MessageView, ProfileView
from domain.chat import DESCRIPTION_LIMIT, NAME_LIMIT, About, Chat, Kind
from domain.events import (
    ChatAdded,
    ChatChanged,
    ChatRemoved,
    MemberAdded,
    MemberRemoved,
    MessageSent,
    MessagesRead,
    Removal,
    RoleChanged,
    SessionEnd,
    SessionEnded,
)
from domain.ids import ChatId, MessageId, Position, ProfileId, Seq, SessionId
from domain.member import Member
from domain.message import BODY_LIMIT, NONCE_LIMIT, Body, Message, Nonce
from domain.reading import Reading
from domain.role import Role
from domain.text import has_something_visible, is_nameable

START = datetime(2026, 1, 1, tzinfo=UTC)

chat_ids = st.builds(ChatId, st.uuids())
profile_ids = st.builds(ProfileId, st.uuids())
session_ids = st.builds(SessionId, st.uuids())
message_ids = st.builds(MessageId, st.uuids())
moments = st.datetimes(timezones=st.just(UTC))
bigints = st.integers(min_value=0, max_value=2**63 - 1)
seqs = st.builds(Seq, bigints)
positions = st.builds(Position, bigints)

# PostgreSQL text holds any character but NUL; lone surrogates are not text at all
characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
texts = st.text(characters, max_size=40)
bodies = st.text(characters, max_size=BODY_LIMIT).filter(has_something_visible).map(Body)
lines = (
    st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=12)
    .filter(has_something_visible)
    .map(Body)
)
nonces = st.text(characters, min_size=1, max_size=NONCE_LIMIT).map(Nonce)

kinds = st.sampled_from(Kind)
roles = st.sampled_from(Role)
abouts = st.builds(
    About,
    st.text(characters, max_size=NAME_LIMIT).filter(is_nameable),
    st.none() | st.text(characters, max_size=DESCRIPTION_LIMIT),
)
members = st.builds(
    Member,
    chat_id=chat_ids,
    profile_id=profile_ids,
    role=roles,
    joined_at=moments,
    left_at=st.none() | moments,
)
chats = st.builds(
    Chat,
    id=chat_ids,
    kind=kinds,
    about=abouts,
    owner_id=profile_ids,
    created_at=moments,
    updated_at=moments,
    deleted_at=st.none() | moments,
    last_seq=seqs,
    last_position=positions,
    last_at=st.none() | moments,
    member_count=st.integers(0, 2**31 - 1),
)
readings = st.builds(Reading, chat_id=chat_ids, profile_id=profile_ids, mark=seqs, excluded=bigints)


@st.composite
def _sent(draw: st.DrawFn) -> MessageSent:
    chat_id = draw(chat_ids)
    message = st.builds(
        Message,
        id=message_ids,
        chat_id=st.just(chat_id),
        seq=seqs,
        author_id=profile_ids,
        body=bodies,
        nonce=st.none() | nonces,
        sent_at=moments,
    )
    return MessageSent(chat_id=chat_id, position=draw(positions), message=draw(message))


sent = _sent()
chat_changes = st.builds(
    ChatChanged,
    chat_id=chat_ids,
    position=positions,
    name=texts,
    description=st.none() | texts,
    by=profile_ids,
    at=moments,
)
member_additions = st.builds(
    MemberAdded, chat_id=chat_ids, position=positions, profile_id=profile_ids, by=profile_ids, at=moments
)
reads = st.builds(
    MessagesRead,
    chat_id=chat_ids,
    reader_id=profile_ids,
    from_seq=seqs,
    to_seq=seqs,
    at=moments,
    message_ids=st.lists(message_ids, max_size=3).map(tuple),
    count=st.integers(1, 1000),
    by_author=st.dictionaries(profile_ids, st.integers(1, 1000), min_size=1, max_size=3),
    is_single=st.booleans(),
)
personal_events = (
    st.builds(ChatAdded, profile_id=profile_ids, chat_id=chat_ids, at=moments)
    | st.builds(
        ChatRemoved, profile_id=profile_ids, chat_id=chat_ids, reason=st.sampled_from(Removal), at=moments
    )
    | st.builds(
        SessionEnded,
        profile_id=profile_ids,
        session_id=session_ids,
        reason=st.sampled_from(SessionEnd),
        at=moments,
    )
)

people = st.builds(
    ProfileView,
    id=profile_ids,
    first_name=st.none() | texts,
    last_name=st.none() | texts,
    middle_name=st.none() | texts,
    username=st.none() | texts,
)


@st.composite
def _new_message(draw: st.DrawFn) -> NewMessage:
    event = draw(sent)
    view = MessageView(
        message=event.message,
        position=event.position,
        sender=draw(people),
        read_at=draw(st.none() | moments),
    )
    return NewMessage(chat_id=event.chat_id, position=event.position, view=view)


some_profiles = st.lists(profile_ids, max_size=3).map(tuple)
updates: st.SearchStrategy[Update] = st.one_of(
    _new_message(),
    chat_changes,
    st.builds(NewMember, chat_id=chat_ids, position=positions, member=people, by=profile_ids, at=moments),
    st.builds(
        MemberRemoved,
        chat_id=chat_ids,
        position=positions,
        profile_id=profile_ids,
        by=profile_ids,
        at=moments,
    ),
    st.builds(
        RoleChanged,
        chat_id=chat_ids,
        position=positions,
        profile_id=profile_ids,
        role=roles,
        by=profile_ids,
        at=moments,
    ),
    personal_events,
    reads,
    st.builds(Typing, chat_id=chat_ids, profile_id=profile_ids, is_typing=st.booleans(), at=moments),
    st.builds(Moved, chat_id=chat_ids, position=st.none() | positions),
    st.builds(OnlineThere, node=texts, profile_ids=some_profiles, is_online=st.booleans(), at=moments),
    st.builds(
        AttendingThere,
        node=texts,
        chat_id=chat_ids,
        profile_ids=some_profiles,
        change=st.sampled_from(Attendance),
        at=moments,
        again=st.booleans(),
    ),
    st.builds(WhoIsThere, node=texts),
    st.builds(
        LimitUsed,
        process=texts,
        allowance=texts,
        key=texts,
        share=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=1)),
        at=moments,
    ),
)
"""Every kind of update: a property counts them."""

near = st.integers(0, 12).map(Seq)
far = st.integers(0, 2**63 - 1).map(Seq)
places: st.SearchStrategy[Where] = (
    st.just(Newest())
    | st.builds(PageNumber, st.integers(1, 6) | st.integers(1, 2**63 - 1))
    | st.builds(Before, near | far)
    | st.builds(After, near | far)
    | st.builds(Around, near | far)
)
