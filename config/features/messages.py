"""
Messages, read marks and the feed of a chat.

Sending and marking run in batches: a gatherer collects the commands of many callers and carries them out together.
"""

from asyncio import Future
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TypeVar

from application.accounts.recent_sessions import RecentSessions
from application.actor import Actor
from application.limits import Action, ActionLimits
from application.messages.limited import LimitedSending
from application.messages.send import Postponed, SendMessage, SendMessages, Sent
from application.messenger import Feed, MessageUseCases
from application.ports.marking import BeginMarking
from application.ports.posting import BeginPosting
from application.receipts.limited import LimitedMarking
from application.receipts.mark_read import Marked, MarkRead, MarkReadBatch
from application.receipts.mark_single import MarkSingleHandler
from application.scoped import Scoped
from application.updates.presence import WatchableHandler
from application.updates.typing import ShowTypingHandler
from config.features.watching import watching
from config.ports import Ports
from config.settings.groups import Settings
from domain.ids import ChatId, ProfileId
from domain.scope import Scope
from infrastructure.gather import BatchLimits, Gatherer
from infrastructure.metered import MeteredChanges, metered_use

SendRequest = tuple[Actor, SendMessage]
MarkRequest = tuple[Actor, MarkRead]
Command = TypeVar("Command")
Answer = TypeVar("Answer")

MARK_WEIGHT = 100
"""The approximate size in bytes of the frame that announces a read mark."""

MESSAGE_WEIGHT = 700
"""The approximate size in bytes of the frame that announces a message, without its text."""


def message_use_cases(
    ports: Ports,
    limits: ActionLimits,
    *,
    send: Callable[[Actor, SendMessage], Awaitable[Sent]],
    mark_read: Callable[[Actor, MarkRead], Awaitable[Marked]],
) -> MessageUseCases:
    views = ports.storage.views
    watch = watching(ports)
    return MessageUseCases(
        send=watch.at_once(Scoped(Scope.MESSAGES, LimitedSending(limits, send))),
        mark_read=watch.at_once(Scoped(Scope.MESSAGES, LimitedMarking(limits, mark_read))),
        mark_single=watch(MarkSingleHandler(begin=ports.storage.begin, clock=ports.clock, limits=limits)),
        readers=watch(views.page_of_readers),
        show_typing=watch(
            ShowTypingHandler(views=views, clock=ports.clock, updates=ports.updates, limits=limits)
        ),
        history=watch(views.history),
        history_unless_known=watch(views.history_unless_known),
        unread_count=watch(views.unread_count),
    )


def feed(ports: Ports, limits: ActionLimits, recent_sessions: RecentSessions) -> Feed:
    views, watch = ports.storage.views, watching(ports)
    return Feed(
        connect=watch.at_once(partial(limits.use, Action.CONNECT)),
        sync=watch.at_once(partial(limits.use, Action.SYNC)),
        snapshot=watch(views.snapshot),
        log=views.log,
        changes=MeteredChanges(ports.storage.changes, ports.meter),
        logs=views.logs,
        list_chats=views.page_of_chats,
        some_chats=views.some_chats,
        own_changes=ports.storage.own_changes,
        recent_sessions=recent_sessions,
        watchable=WatchableHandler(views=views),
        tell_nodes=ports.updates.publish,
    )


def send_gatherer(ports: Ports, settings: Settings) -> Gatherer[SendRequest, Sent]:
    chat = settings.chat

    def batches(begin: BeginPosting) -> Callable[[Sequence[SendRequest]], Awaitable[Sequence[object]]]:
        use = watching(ports).batches(sending(ports, begin, chat.min_message_interval))
        return metered_use(use, "messages", ports.meter)

    return Gatherer(
        use=batches(ports.storage.begin_posting),
        patient_use=batches(ports.storage.begin_patient_posting),
        postponed=Postponed,
        key=chat_of,
        owner=author_of,
        weigh=message_weight,
        limits=BatchLimits(
            batch=chat.batch_messages,
            per_key=chat.batch_messages_per_chat,
            weight_per_key=chat.batch_bytes_per_chat,
            backlog=chat.send_backlog,
        ),
        name="messages",
    )


def mark_gatherer(ports: Ports, settings: Settings) -> Gatherer[MarkRequest, Marked]:
    marks = watching(ports).batches(marking(ports, ports.storage.begin_marking))
    use = metered_use(marks, "marks", ports.meter)
    return Gatherer(
        use=use,
        patient_use=use,
        key=chat_of,
        owner=author_of,
        weigh=mark_weight,
        limits=BatchLimits(backlog=settings.chat.send_backlog),
        name="read marks",
    )


def sending(ports: Ports, begin: BeginPosting, interval: timedelta) -> SendMessages:
    """An author may not repeat a text without a nonce within ``interval``."""
    return SendMessages(begin=begin, clock=ports.clock, ids=ports.ids, interval=interval)


def marking(ports: Ports, begin: BeginMarking) -> MarkReadBatch:
    return MarkReadBatch(begin=begin, clock=ports.clock)


def gathered(
    gatherer: Gatherer[tuple[Actor, Command], Answer],
) -> Callable[[Actor, Command], Future[Answer]]:
    """Returns the use case for a single command, which takes its place in the chat's order when it is called."""
    return lambda actor, command: gatherer.submit((actor, command))


def chat_of(asked: SendRequest | MarkRequest) -> ChatId:
    return asked[1].chat_id


def author_of(asked: SendRequest | MarkRequest) -> ProfileId:
    return asked[0].profile_id


def mark_weight(_: MarkRequest) -> int:
    return MARK_WEIGHT


def message_weight(asked: SendRequest) -> int:
    """
    An upper estimate of the message's frame in bytes.

    JSON writes a control character as six bytes (``\\u0007``) and everything else as UTF-8 does.
    """
    text = asked[1].body.text
    escapes = 0 if text.isprintable() else 5 * sum(character < " " for character in text)
    return MESSAGE_WEIGHT + len(text.encode()) + escapes
