"""Puts the messenger together from its features."""

from asyncio import get_running_loop
from collections.abc import Awaitable, Callable

from application.accounts.recent_sessions import RecentSessions
from application.actor import Actor
from application.chats.membership import Adding
from application.messages.send import SendMessage, Sent
from application.messenger import Messenger
from application.receipts.mark_read import Marked, MarkRead
from config.features.accounts import (
    AccountRules,
    access_token_use_cases,
    account_use_cases,
    factor_use_cases,
    passkey_use_cases,
    profile_use_cases,
    provider_use_cases,
    session_use_cases,
)
from config.features.chats import catalogue_use_cases, chat_use_cases
from config.features.messages import feed, message_use_cases
from config.ports import Ports


def make_messenger(
    ports: Ports,
    rules: AccountRules,
    *,
    send: Callable[[Actor, SendMessage], Awaitable[Sent]],
    mark_read: Callable[[Actor, MarkRead], Awaitable[Marked]],
    letter_is_due: Callable[[], None],
    account_is_closed: Callable[[], None],
    adding: Adding,
) -> Messenger:
    limits = adding.limits
    recent_sessions = RecentSessions(lambda: get_running_loop().time())
    return Messenger(
        accounts=account_use_cases(
            ports,
            rules,
            limits=limits,
            recent_sessions=recent_sessions,
            letter_is_due=letter_is_due,
            account_is_closed=account_is_closed,
        ),
        factors=factor_use_cases(ports, rules),
        providers=provider_use_cases(ports, rules, limits=limits, letter_is_due=letter_is_due),
        passkeys=passkey_use_cases(ports, rules, limits=limits, letter_is_due=letter_is_due),
        access_tokens=access_token_use_cases(ports, rules),
        sessions=session_use_cases(ports, rules),
        profiles=profile_use_cases(ports, limits),
        chats=chat_use_cases(ports, adding),
        messages=message_use_cases(ports, limits, send=send, mark_read=mark_read),
        feed=feed(ports, limits, recent_sessions),
        catalogues=catalogue_use_cases(ports),
        probe=ports.storage.views.probe,
    )
