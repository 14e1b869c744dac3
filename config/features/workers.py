"""Background workers, each in a loop of its own."""

from attrs import frozen

from application.accounts.clear_closed import ClearClosedAccountsHandler
from application.accounts.tidy import TidyAccountsHandler
from application.chats.purge import PurgeDeletedChatsHandler
from application.notifications.deliver import DeliverDueLettersHandler
from config.ports import Ports
from config.settings.groups import Settings
from infrastructure.repeat import Repeat


@frozen(kw_only=True)
class Workers:
    letters: Repeat
    """Sends letters that are due."""
    closed_accounts: Repeat
    """Removes closed accounts from their chats and clears their data."""
    tidying: Repeat
    """Ends expired sessions, and removes old ones and used confirmations."""
    purging: Repeat
    """Removes the messages of deleted chats."""


def make_workers(ports: Ports, settings: Settings) -> Workers:
    begin, clock = ports.storage.begin, ports.clock
    return Workers(
        letters=Repeat(
            once=DeliverDueLettersHandler(
                begin=begin,
                clock=clock,
                mailer=ports.mailer,
                tokens=ports.tokens,
                lease=settings.mail.lease,
            ),
            name="letters",
            loops=settings.mail.at_once,
        ),
        closed_accounts=Repeat(
            once=ClearClosedAccountsHandler(begin=begin, clock=clock),
            name="closed accounts",
            every=60.0,
        ),
        tidying=Repeat(
            once=TidyAccountsHandler(
                begin=begin,
                clock=clock,
                passwords=ports.passwords,
                keep_events=settings.auth.events_for,
            ),
            name="tidying of accounts",
            every=300.0,
            longest=300.0,
        ),
        purging=Repeat(
            once=PurgeDeletedChatsHandler(
                deleted_chats=ports.storage.deleted_chats, clock=clock, keep=settings.chat.purge_after
            ),
            name="purging",
            every=60.0,
        ),
    )
