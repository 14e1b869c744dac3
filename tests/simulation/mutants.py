"""
The messenger, made wrong in one place each.

They show that a world which finds nothing could have found something. Each is a way in which messengers have been wrong,
or in which this one could become so.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any, Final
from uuid import UUID

from attrs import evolve

from application.actor import Actor
from application.errors import ApplicationError
from application.messages.send import SendMessage, SendMessages, Sent
from application.paging import Paging
from application.ports.changes import Cursor
from application.ports.own_changes import Lost, Missed, Standing
from application.ports.posting import Conversations, Draft, Posting, Slots
from application.ports.updates import ChatUpdate
from application.ports.views import LogSpan
from application.updates.presence import WatchableHandler
from application.views import Contact, HistoryPage, Snapshot
from domain.chat import Chat
from domain.chat_errors import ChatNotFound, TooFrequent
from domain.events import ChatAdded, ChatRemoved, MemberRemoved, MessageSent, SessionEnded
from domain.ids import ChatId, Position, ProfileId, Seq
from domain.member import Member
from domain.reading import Reading
from infrastructure.announcing import Announcing
from infrastructure.gather import Gatherer
from infrastructure.memory.chats import MemoryPosting
from infrastructure.memory.views import MemoryOwnChanges
from infrastructure.turns import Turns
from interfaces.live import channel, entry, resuming, sync
from interfaces.live.all_chats import AllChats, Visit
from interfaces.live.channel import Channel, Channels
from interfaces.live.entry import Entrant, Entry, Since
from interfaces.live.hub import Hub
from interfaces.live.presence import Presence
from interfaces.live.replays import Reading as MissedReading
from interfaces.live.resuming import Memberships
from interfaces.live.roster import Audience, Roster
from interfaces.live.sync import Beginning, Part, Sync
from interfaces.live.tails import LogEntry, Tails
from interfaces.live.typing import TypingNow
from interfaces.wire import frames
from interfaces.wire.frames import Frame
from interfaces.wire.places import SyncPlace
from interfaces.wire.reasons import Reset
from interfaces.ws.answers import Answers
from interfaces.ws.chat_connection import ChatConnection
from interfaces.ws.connection import Sending
from interfaces.ws.exchange import Exchange
from interfaces.ws.outbox import Outbox

Asked = Sequence[tuple[Actor, SendMessage]]


@contextmanager
def planted(owner: Any, name: str, method: Callable[..., Any]) -> Iterator[None]:
    """A method of a class, or a function of a module, replaced for a while."""
    original = vars(owner)[name]
    setattr(owner, name, method)
    try:
        yield
    finally:
        setattr(owner, name, original)


# What is sent


async def _decide(self: SendMessages, posting: Posting, asked: Asked) -> list[Any]:
    drafts = [
        Draft(
            chat_id=command.chat_id,
            author_id=actor.profile.id,
            id=self.ids.message(),
            body=command.body,
            nonce=command.nonce,
            at=self.clock.now(),
        )
        for actor, command in asked
    ]
    opened = await posting.open(drafts, self._slots)
    answers = [self._answer(opened, draft) for draft in drafts]
    posted = [answer.event for answer in answers if isinstance(answer, Sent) and not answer.duplicate]
    if posted:
        touched = dict.fromkeys(event.chat_id for event in posted)
        await posting.keep([opened.chats[chat_id] for chat_id in touched], posted)
    return answers


@asynccontextmanager
async def announces_before_the_commit(self: Announcing[Any]) -> AsyncIterator[Any]:
    async with self.begin() as unit:
        yield unit
        self.updates.publish(unit.pending_updates)


async def answers_before_the_commit(self: SendMessages, asked: Asked) -> Sequence[Any]:
    unit = self.begin()
    answers = await _decide(self, await unit.__aenter__(), asked)

    async def commit() -> None:
        try:
            await unit.__aexit__(None, None, None)
        except ApplicationError:
            return

    committing = asyncio.create_task(commit())
    committing.add_done_callback(lambda _: None if committing.cancelled() else committing.exception())
    return answers


_post = SendMessages._post


def forgets_nonces(self: SendMessages, opened: Conversations, draft: Draft) -> Sent:
    opened.said.clear()
    return _post(self, opened, draft)


def forgets_deletions(self: SendMessages, opened: Conversations, draft: Draft) -> Sent:
    if chat := opened.chats.get(draft.chat_id):
        chat.deleted_at = None
        for author in opened.authors.values():
            author.left_at = None
    return _post(self, opened, draft)


_chat_post = Chat.post


def trusts_clocks(self: Chat, author: Member | None, body: Any, *, at: datetime, **named: Any) -> MessageSent:
    self.last_at = None
    return _chat_post(self, author, body, at=at, **named)


def lets_others_overtake(self: Gatherer[Any, Any], key: Any, postponed: Sequence[Any]) -> None:
    if (queue := self._patient.get(key)) is None:
        queue = self._queues.setdefault(key, Turns())
    for waiting in postponed:
        waiting.skips += 1
    for waiting in postponed:
        queue.append(self.owner(waiting.ask), waiting)
    self._count += len(postponed)
    self._weight += sum(waiting.weight for waiting in postponed)


def answers_when_it_likes(self: Answers, update: ChatUpdate | None) -> bool:
    return False


def lets_questions_overtake(self: Exchange, text: str | None) -> None:
    request = self._connection.hear(text or "")
    if isinstance(request, Sending):
        self._send(request)
    elif request is not None:
        self._is_busy = True
        self._carry_out(request)


# Who listens


_enter = Entry.enter


async def enters_after_its_history(self: Entry, entrant: Entrant, history: int, *more: Any) -> None:
    snapshot = await self.snapshot(entrant.profile_id, entrant.chat_id, history)
    self._register(entrant)
    await _goes_live_at_once(self, entrant, snapshot)


async def overhears_while_it_resumes(self: Entry, entrant: Entrant, history: int, *more: Any) -> None:
    if isinstance(entrant.since, Since):
        self._register(entrant)
        snapshot = await self.snapshot(entrant.profile_id, entrant.chat_id, history)
        await _goes_live_at_once(self, entrant, snapshot)
    else:
        await _enter(self, entrant, history)


async def _goes_live_at_once(self: Entry, entrant: Entrant, snapshot: Snapshot) -> None:
    """Without comparing its position with the channel's."""
    after = entry.resume_after(entrant.since, snapshot)
    entrant.welcome(snapshot)
    if isinstance(after, int):
        await self._replay(entrant, Position(after), snapshot.position, snapshot.epoch)
        entrant.resumed(snapshot)
    else:
        entrant.begin(snapshot, after)
    channel = self.channels.open(entrant.chat_id)
    channel.position = channel.position or snapshot.position
    channel.hear_of(snapshot.position)
    if entrant.is_entering:
        self.go_live(channel, entrant)
    self.channels.heal_soon(channel)


def drops_what_overflows(self: Outbox, frame: Frame) -> None:
    self._frames = deque() if self._frames is None else self._frames
    if len(self._frames) < self.max_frames and self._size < self.max_bytes:
        self._frames.append(frame)
        self._size += frame.size


def keeps_what_overflows(self: Outbox, frame: Frame) -> None:
    self._frames = deque() if self._frames is None else self._frames
    self._frames.append(frame)
    self._size += frame.size


def overhears_deletions(self: Hub, removed: ChatRemoved) -> None:
    """Does nothing."""


def overhears_removals(self: Hub, audience: Audience, update: MemberRemoved) -> None:
    """Does nothing."""


def overhears_sign_outs(self: Hub, ended: SessionEnded) -> None:
    """Does nothing."""


async def looks_nowhere(self: Hub, cursor: Cursor | None) -> Cursor:
    return await self.feed.changes.now()


def never_heals(self: Channels, channel: Channel) -> None:
    """Does nothing."""


def minds_no_gap(self: Channel, update: ChatUpdate) -> Iterator[ChatUpdate]:
    self.heard = max(self.heard, update.position)
    if self.position is not None and update.position > self.position:
        self.position = update.position
        yield update


def tells_the_early_ones_as_they_came(self: Channel, update: ChatUpdate) -> Iterator[ChatUpdate]:
    self.heard = max(self.heard, update.position)
    if self.position is None or update.position <= self.position:
        return
    if update.position > self.position + 1:
        self.early[update.position] = update
        return
    self.position = update.position
    yield update
    while self.early:
        first: Position = next(iter(self.early))
        self.position = first
        yield self.early.pop(first)


def tells_twice(self: Channel, update: ChatUpdate) -> Iterator[ChatUpdate]:
    self.heard = max(self.heard, update.position)
    if self.position is None or not self.position <= update.position <= self.position + 1:
        return
    self.position = update.position
    yield update


def tells_whoever_comes_last_no_more(_: Roster, number: int, audience: Audience) -> None:
    """Drops the listener that went live last instead of moving it to the index that becomes free."""
    if number in audience.live:
        last = audience.live.pop()
        if last != number:
            audience.live.remove(number)


# Returning clients


_replay = Entry._replay
_resume_after = entry.resume_after


async def replays_one_page(
    self: Entry,
    entrant: Entrant,
    after: Position,
    up_to: Position,
    epoch: str | None,
    *,
    is_news: bool = False,
) -> Position:
    if is_news:
        return await _replay(self, entrant, after, up_to, epoch, is_news=True)
    for update in await self.channels.read_log(entrant.chat_id, after, channel.PAGE):
        if update.position <= up_to:
            entrant.tell(frames.told(update), update)
    return up_to


async def replays_nothing(
    self: Entry,
    entrant: Entrant,
    after: Position,
    up_to: Position,
    epoch: str | None,
    *,
    is_news: bool = False,
) -> Position:
    return await _replay(self, entrant, after, up_to, epoch, is_news=True) if is_news else up_to


def follows_over_gaps(self: Tails, update: ChatUpdate) -> None:
    tail = self._by_chat.get(update.chat_id)
    if tail is not None and update.position > tail.last:
        self._append(tail, LogEntry.of(update))


def adds_over_gaps(self: Tails, update: ChatUpdate, frame: Frame) -> None:
    self.watch(update.chat_id, Position(update.position - 1))
    follows_over_gaps(self, update)


_tail_read = Tails.read


def serves_more_than_is_known(
    self: Tails, epoch: str | None, chat_id: ChatId, after: Position, last: Position
) -> Sequence[LogEntry]:
    return _tail_read(self, epoch, chat_id, after, Position(last + 1))


def relies_on_earlier_reads(self: MissedReading, span: LogSpan) -> bool:
    return self.after <= span.after


Where = Since | Reset | None


def resumes_late(since: Where, snapshot: Snapshot) -> Position | Reset | None:
    after = _resume_after(since, snapshot)
    return Position(min(after + 1, snapshot.position)) if isinstance(after, int) else after


def resumes_early(since: Where, snapshot: Snapshot) -> Position | Reset | None:
    after = _resume_after(since, snapshot)
    return Position(max(after - 1, 0)) if isinstance(after, int) else after


def resumes_from_what_is_not_there(since: Where, snapshot: Snapshot) -> Position | Reset | None:
    after = _resume_after(since, snapshot)
    return Position(since.position) if after is Reset.AHEAD and isinstance(since, Since) else after


def resumes_another_history(since: Where, snapshot: Snapshot) -> Position | Reset | None:
    if isinstance(since, Since):
        since = Since(snapshot.epoch, since.position)
    return _resume_after(since, snapshot)


def resumes_in_part(since: Where, snapshot: Snapshot) -> Position | Reset | None:
    after = _resume_after(since, snapshot)
    return Position(snapshot.position - entry.REPLAY_MOST) if after is Reset.TOO_FAR else after


def passes_over_nonsense(since: Where, snapshot: Snapshot) -> Position | Reset | None:
    after = _resume_after(since, snapshot)
    return None if after is Reset.MALFORMED else after


def resets_without_a_snapshot(self: ChatConnection, snapshot: Snapshot, why: Reset | None) -> None:
    self._say(frames.reset(self.chat_id, why) if why else _page_of(snapshot))


def resets_without_a_word(self: ChatConnection, snapshot: Snapshot, why: Reset | None) -> None:
    self._say(_page_of(snapshot))


def _page_of(snapshot: Snapshot) -> Frame:
    return frames.chat_history(snapshot.history, snapshot.unread_count)


def forgets_what_was_read(self: ChatConnection, snapshot: Snapshot) -> None:
    self._say(frames.resumed(self.chat_id, evolve(snapshot, read_up_to=Seq(0))))


def forgets_what_others_read(self: ChatConnection, snapshot: Snapshot) -> None:
    self._say(frames.resumed(self.chat_id, evolve(snapshot, others_read_up_to=Seq(0))))


async def resumes_where_nothing_is(self: Entry, entrant: Entrant, history: int, *more: Any) -> None:
    since = entrant.since
    try:
        await _enter(self, entrant, history)
    except ChatNotFound:
        if not isinstance(since, Since):
            raise
        snapshot = _nothing_behind(since)
        entrant.welcome(snapshot)
        entrant.resumed(snapshot)
        self.go_live(self.channels.open(entrant.chat_id), entrant)


def _nothing_behind(since: Since) -> Snapshot:
    zero = Seq(0)
    return Snapshot(
        epoch=since.epoch,
        seq=zero,
        position=Position(since.position),
        unread_count=0,
        read_up_to=zero,
        others_read_up_to=zero,
        member_count=0,
        history=HistoryPage.of(ChatId(UUID(int=0)), range(1, 1), zero),
    )


async def replays_as_if_it_were_new(
    self: Entry,
    entrant: Entrant,
    after: Position,
    up_to: Position,
    epoch: str | None,
    *,
    is_news: bool = False,
) -> Position:
    return await _replay(self, entrant, after, up_to, epoch, is_news=True)


# What is said again


def lets_it_be_said_again(self: Chat, author: Member | None, body: Any, **named: Any) -> MessageSent:
    return _chat_post(self, author, body, **{**named, "interval": timedelta(0)})


def never_lets_it_be_said_again(self: Chat, author: Member | None, body: Any, **named: Any) -> MessageSent:
    return _chat_post(self, author, body, **{**named, "interval": 1000 * named["interval"]})


def forgets_what_was_just_said(self: SendMessages, opened: Conversations, draft: Draft) -> Sent:
    before = dict(opened.just_said)
    sent = _post(self, opened, draft)
    opened.just_said.clear()
    opened.just_said.update(before)
    return sent


def refuses_what_has_a_nonce(self: SendMessages, opened: Conversations, draft: Draft) -> Sent:
    just_said = opened.just_said.get((draft.chat_id, draft.author_id, draft.body))
    if just_said and draft.at - just_said < self.interval:
        raise TooFrequent(0.0)
    return _post(self, opened, draft)


_open = MemoryPosting.open
_keep = MemoryPosting.keep


async def counts_what_had_a_nonce(
    self: MemoryPosting, chats: Sequence[Chat], posted: Sequence[MessageSent]
) -> None:
    await _keep(self, chats, posted)
    for message in (event.message for event in posted):
        if self._slots:
            said = message.chat_id, message.author_id, message.body, self._slots.of(message.sent_at)
            self.work.chats_state.just_said[said] = message.seq


async def counts_what_others_said(
    self: MemoryPosting, drafts: Sequence[Draft], slots: Slots | None
) -> Conversations:
    opened = await _open(self, drafts, slots)
    tables = self.work.chats_state
    for (chat_id, _, body, _), seq in tables.just_said.items():
        for draft in drafts:
            if (draft.chat_id, draft.body, draft.nonce) == (chat_id, body, None):
                said = tables.messages.get((chat_id, seq))
                assert said is not None
                opened.just_said.setdefault((chat_id, draft.author_id, body), said.message.sent_at)
    return opened


# What is read


def counts_ones_own(self: Reading, last_seq: Seq) -> int:
    return last_seq - self.mark


# Who hears all chats


_memberships = resuming.memberships
_reading = resuming.reading


async def takes_its_cursor_after_the_snapshot(
    self: AllChats, visit: Visit, why: Lost | Reset | None
) -> Missed | None:
    listener, profile_id = visit.listener, visit.listener.profile_id
    await self._take_seats(visit)
    page = await self.list_chats(profile_id, Paging(limit=self.page))
    cursor = await self.own_changes.here()
    missed = await self.own_changes.since(profile_id, cursor)
    listener.welcome(cursor, page, why)
    assert isinstance(missed, Missed), "history does not change here"
    return missed


def tells_reading_only_of_what_moved(standing: Standing) -> Frame | None:
    return None if standing.first_missed is None else _reading(standing)


def tells_no_removal(missed: Missed, seen: Mapping[ChatId, Position]) -> Memberships:
    return evolve(_memberships(missed, seen), removed=())


def forgets_the_personal_log(*_: Any) -> Memberships:
    return Memberships((), frozenset())


async def passes_over_gaps(self: AllChats, visit: Visit, jumps: Sequence[Any]) -> Sequence[ChatId]:
    views = await self._read_views(visit.listener, [way.chat_id for way, _, _ in jumps])
    for way, _, _ in jumps:
        if view := views.get(way.chat_id):
            await self._go_in(visit, way, view.last_position)
        else:
            visit.to_join[way.chat_id] = None
            self._abandon(visit, way)
    return []


def overhears_additions(self: AllChats, event: ChatAdded) -> None:
    """Does nothing."""


_resume = AllChats._resume


async def resumes_in_chats_that_it_has_left(
    self: AllChats, visit: Visit, missed: Missed, seen: Mapping[ChatId, Position]
) -> None:
    here = {standing.chat_id for standing in missed.standings}
    for way in [way for way in visit.ways_in.values() if way.chat_id not in here]:
        del visit.ways_in[way.chat_id]
        self.entry.go_live(way.channel, visit.listener)
    await _resume(self, visit, missed, seen)


def forgets_own_marks(standing: Standing) -> Frame | None:
    return None


def overhears_own_reading(self: AllChats, chat_id: ChatId, reader_id: ProfileId) -> None:
    """Does nothing."""


async def replays_a_page_of_each(self: AllChats, visit: Visit, replays: Sequence[Any], epoch: str) -> None:
    """And takes the rest for told, with the cursor after it."""
    for way, standing, after in replays:
        last = Position(min(standing.last_position, after + channel.PAGE))
        for missed in await self.replays.read(epoch, [LogSpan(way.chat_id, after, last)]):
            visit.listener.tell(missed.frame, missed.update)
        await self._go_in(visit, way, standing.last_position, epoch)


def tells_the_cursor_at_once(self: AllChats) -> None:
    """Although channels lag, and listeners have not been told everything."""
    if self._cursor is not None:
        (cursor, _), self._cursor = self._cursor, None
        self._told, self._told_at = cursor, self.looks
        for visit in self._visits.values():
            if visit.entered_at is not None:
                visit.listener.passed(cursor)


def skips_in_silence(self: AllChats, *_: Any) -> None:
    """Does nothing."""


def tells_on_in_a_gap(self: Outbox, frame: Frame) -> bool:
    return False


# Who watches whom


async def lets_everybody_watch(
    self: WatchableHandler, watcher: ProfileId, wanted: Sequence[ProfileId]
) -> Sequence[Contact]:
    return [Contact(profile_id=each, last_used_at=None) for each in wanted]


def lets_them_watch_for_ever(self: Presence, profile_id: ProfileId) -> None:
    """Does nothing."""


def overhears_departures(self: Presence, profile_id: ProfileId) -> None:
    """Shows everybody as online who was."""
    left = self._here.pop(profile_id) - 1
    if left:
        self._here[profile_id] = left


def never_ends_typing(self: TypingNow) -> None:
    """Does nothing."""


# What is answered without a connection


_since = Sync.since


async def takes_a_part_for_the_whole(self: Sync, *asked: Any) -> Part | Lost:
    part = await _since(self, *asked)
    if isinstance(part, Part) and isinstance(part.cursor, SyncPlace):
        place = part.cursor
        whole = Cursor(epoch=place.epoch, place=place.until, lineage=place.lineage)
        return evolve(part, cursor=whole, has_more=False)
    return part


async def ends_a_walk_where_its_last_part_was_read(self: Sync, *asked: Any) -> Part | Lost:
    part = await _since(self, *asked)
    if isinstance(part, Lost) or isinstance(part.cursor, SyncPlace):
        return part
    return evolve(part, cursor=await self.feed.own_changes.here(), has_more=False)


async def begins_with_a_page_older_than_its_cursor(self: Sync, profile_id: ProfileId) -> Beginning:
    page = await self.page(profile_id)
    return Beginning(await self.feed.own_changes.here(), page)


def steps_over_the_chat_that_did_not_fit(
    standings: Sequence[Standing], added: frozenset[ChatId], start: SyncPlace | None, *more: Any
) -> Iterator[Any]:
    for step in _steps(standings, added, start, *more):
        if start is None or step.chat_id != start.chat_id:
            yield step


def begins_the_chat_that_did_not_fit_anew(
    standings: Sequence[Standing], added: frozenset[ChatId], start: SyncPlace | None, *more: Any
) -> Iterator[Any]:
    yield from _steps(standings, added, evolve(start, position=Position(0)) if start else None, *more)


_steps = sync._steps


# What comes from another line of history


def keeps_tails_of_another_history(self: Tails, epoch: str) -> None:
    self.epoch = epoch


def overhears_that_history_has_changed(self: Hub, epoch: str) -> None:
    self.tails.begin(epoch)


_own_since = MemoryOwnChanges.since


async def resumes_from_any_cursor(
    self: MemoryOwnChanges, reader: ProfileId, cursor: Cursor, chats: int | None = None
) -> Missed | Lost:
    return await _own_since(self, reader, evolve(cursor, epoch=self.storage.epoch), chats)


OF_RESTORES: Final[Mapping[str, tuple[Any, str, Callable[..., Any]]]] = {
    "restore: tails kept": (Tails, "begin", keeps_tails_of_another_history),
    "restore: not heard": (Hub, "_begin_anew", overhears_that_history_has_changed),
    "restore: cursors of the former history": (MemoryOwnChanges, "since", resumes_from_any_cursor),
}
"""Only runs in which an earlier state is restored can find these."""

OF_SYNC: Final[Mapping[str, tuple[Any, str, Callable[..., Any]]]] = {
    "sync: a part taken for the whole": (Sync, "since", takes_a_part_for_the_whole),
    "sync: a walk ends where its last part was read": (
        Sync,
        "since",
        ends_a_walk_where_its_last_part_was_read,
    ),
    "sync: cursor taken after the snapshot": (Sync, "begin", begins_with_a_page_older_than_its_cursor),
    "sync: the chat that did not fit is passed over": (sync, "_steps", steps_over_the_chat_that_did_not_fit),
    "sync: the chat that did not fit begins anew": (sync, "_steps", begins_the_chat_that_did_not_fit_anew),
}
"""Only runs with clients of `/sync/` can find these."""

OF_ALL_CHATS: Final[Mapping[str, tuple[Any, str, Callable[..., Any]]]] = {
    "all chats: cursor taken after the snapshot": (AllChats, "_anew", takes_its_cursor_after_the_snapshot),
    "all chats: reading of an unmoved chat not told": (resuming, "reading", tells_reading_only_of_what_moved),
    "all chats: removal not told": (resuming, "memberships", tells_no_removal),
    "all chats: personal log forgotten": (resuming, "memberships", forgets_the_personal_log),
    "all chats: gap without state": (AllChats, "_jump", passes_over_gaps),
    "all chats: additions not heard": (AllChats, "added", overhears_additions),
    "all chats: membership ignored": (AllChats, "_resume", resumes_in_chats_that_it_has_left),
    "all chats: own marks forgotten": (resuming, "reading", forgets_own_marks),
    "all chats: own reading not heard": (AllChats, "read", overhears_own_reading),
    "all chats: cursor after an unread page": (AllChats, "_replay", replays_a_page_of_each),
    "all chats: cursor told at once": (AllChats, "_tell_cursor", tells_the_cursor_at_once),
    "slow reader: gap not told": (AllChats, "skip", skips_in_silence),
    "slow reader: told on in a gap": (Outbox, "_is_missing", tells_on_in_a_gap),
    "presence: leaked to strangers": (WatchableHandler, "__call__", lets_everybody_watch),
    "presence: never ends": (Presence, "doubt", lets_them_watch_for_ever),
    "presence: going not told": (Presence, "departed", overhears_departures),
    "typing: never ends": (TypingNow, "_wind_up", never_ends_typing),
}
"""Only runs with sockets of all chats can find these."""

MUTANTS: Final[Mapping[str, tuple[type[Any] | ModuleType, str, Callable[..., Any]]]] = {
    "told before the commit": (Announcing, "__call__", announces_before_the_commit),
    "answered before the commit": (SendMessages, "__call__", answers_before_the_commit),
    "nonces forgotten": (SendMessages, "_post", forgets_nonces),
    "stale membership: taken after the deletion": (SendMessages, "_post", forgets_deletions),
    "stale membership: deletion not heard": (Hub, "_end_in_chat", overhears_deletions),
    "stale membership: removal not heard": (Hub, "_end_removed", overhears_removals),
    "stale membership: sign-out not heard": (Hub, "_end_session", overhears_sign_outs),
    "subscribed after the history": (Entry, "enter", enters_after_its_history),
    "dropped on overflow": (Outbox, "_keep", drops_what_overflows),
    "kept on overflow": (Outbox, "_keep", keeps_what_overflows),
    "healing switched off": (Channels, "heal_soon", never_heals),
    "cursor switched off": (Hub, "_look", looks_nowhere),
    "gaps not minded": (Channel, "due", minds_no_gap),
    "early ones out of order": (Channel, "due", tells_the_early_ones_as_they_came),
    "told twice": (Channel, "due", tells_twice),
    "seats confused": (Roster, "_remove_live", tells_whoever_comes_last_no_more),
    "postponed ones overtaken": (Gatherer, "_put_back", lets_others_overtake),
    "sends overtaken by questions": (Exchange, "_decide", lets_questions_overtake),
    "answered after it is told": (Answers, "_awaits", answers_when_it_likes),
    "clocks trusted": (Chat, "post", trusts_clocks),
    "resume: nothing is replayed": (Entry, "_replay", replays_nothing),
    "resume: one page is replayed": (Entry, "_replay", replays_one_page),
    "resume: one too late": (entry, "resume_after", resumes_late),
    "resume: one too early": (entry, "resume_after", resumes_early),
    "resume: from what is not there": (entry, "resume_after", resumes_from_what_is_not_there),
    "resume: another history": (entry, "resume_after", resumes_another_history),
    "resume: the newest of too many": (entry, "resume_after", resumes_in_part),
    "resume: nonsense passed over": (entry, "resume_after", passes_over_nonsense),
    "resume: put out again": (Entry, "_replay", replays_as_if_it_were_new),
    "resume: a tail with a gap": (Tails, "follow", follows_over_gaps),
    "resume: a tail with a gap among what is told": (Tails, "add", adds_over_gaps),
    "resume: a tail that goes too far": (Tails, "read", serves_more_than_is_known),
    "resume: an earlier read": (MissedReading, "has_next", relies_on_earlier_reads),
    "resume: a deleted chat": (Entry, "enter", resumes_where_nothing_is),
    "resume: what comes meanwhile not told": (Entry, "enter", overhears_while_it_resumes),
    "resume: own mark forgotten": (ChatConnection, "resumed", forgets_what_was_read),
    "resume: the others' marks forgotten": (ChatConnection, "resumed", forgets_what_others_read),
    "reset without a snapshot": (ChatConnection, "begin", resets_without_a_snapshot),
    "reset without a word": (ChatConnection, "begin", resets_without_a_word),
    "said again at once": (Chat, "post", lets_it_be_said_again),
    "said again at once, in one batch": (SendMessages, "_post", forgets_what_was_just_said),
    "never said again": (Chat, "post", never_lets_it_be_said_again),
    "said again: nonces refused": (SendMessages, "_post", refuses_what_has_a_nonce),
    "said again: nonces counted": (MemoryPosting, "keep", counts_what_had_a_nonce),
    "said again: others counted": (MemoryPosting, "open", counts_what_others_said),
    "own messages unread": (Reading, "unread", counts_ones_own),
}
