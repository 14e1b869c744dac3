"""
The statements that no single key leads to, each with the reason why it may be so.

They are known by how they begin. A statement that is not here must be routed directly (`Route.is_direct`); one that is here and
is direct, or does not occur, has to go from here.
"""

from collections.abc import Mapping
from typing import Final

from infrastructure.postgres.own_changes import CHATS_OF, STANDINGS
from infrastructure.postgres.pages import CHATS, CHATS_AFTER, CHATS_AND_HERE
from infrastructure.postgres.posting import KEEP_REMEMBERED, READ
from infrastructure.postgres.views import CONTACTS, LIVE_SESSION, LIVE_SESSIONS, PAGE


def begins(text: str) -> str:
    return " ".join(text.split())


SEVERAL_KINDS: Final[Mapping[str, str]] = {
    begins(
        READ
    ): "reads the authors' names beside their memberships: a second statement by profile when they are apart",
    begins(
        KEEP_REMEMBERED
    ): "looks at the authors' profiles too; where they are apart, nothing is remembered",
}
"""All keys are known, but of tables that are divided by different ones."""

SECOND_STEP: Final[Mapping[str, str]] = {
    begins(CHATS.numbered): "a person's chats: their ids first, by profile, then the chats, by chat",
    begins(PAGE.numbered): "a page of history: the authors' names by profile, when the messages are known",
    begins(CHATS_AFTER.numbered): "the same, for a later page",
    begins(CHATS_OF.numbered): "the same, for a socket that opens",
    begins(STANDINGS.numbered): "the same, for a client that comes back",
    begins(LIVE_SESSION.numbered): "a session's person: sessions by account, then the profile",
    begins(LIVE_SESSIONS.numbered): "the same, for several sockets that come in",
    begins(CONTACTS.numbered): "who may see whom: profiles first, then chats and sessions",
    "SELECT wanted.profile_id FROM unnest(%(people)s::UUID[]) AS wanted (profile_id) WHERE wanted.profile_id <>": (
        "who knows whom: the chats of one person first, then the chats"
    ),
    "SELECT account.account_id, account.email, account.password_hash, account.created_at, account.confirmed_at,"
    " account.closed_at, account.disabled_at FROM account JOIN account_by_email ON account_by_email.account_id ="
    " account.account_id WHERE account_by_email.email_folded IN": "by address: the lookup first, then the account",
}
"""A key becomes known when another table was read: two statements where these are apart."""

LETTERS: Final = (
    "background work claims what is due, some at a time; on each part by itself when they are apart"
)
OLD: Final = "background work removes what is old, on each part by itself"
OPERATORS: Final = "operators list accounts, or a process looks once at its start"
SEARCH: Final = "the search for people by name reads an index over all profiles (docs/storage.md, rule 5)"
CURSOR: Final = "the cursor over all logs: it is a snapshot of one database (docs/storage.md, The cursor)"

EVERYWHERE: Final[Mapping[str, str]] = {
    "DELETE FROM account_event WHERE account_event.at <": OLD,
    "DELETE FROM confirmation WHERE confirmation.expires_at <=": OLD,
    "DELETE FROM idempotency_key WHERE idempotency_key.expires_at <=": OLD,
    "DELETE FROM letter WHERE letter.outcome !=": OLD,
    "DELETE FROM session WHERE session.ended_at <": OLD,
    "DELETE FROM direct_chat WHERE direct_chat.chat_id =": "the end of a direct chat, once in its life, frees the pair",
    "SELECT chat.chat_id FROM chat JOIN chat_head ON chat_head.chat_id = chat.chat_id WHERE chat.deleted_at <": OLD,
    begins(CHATS_AND_HERE.numbered): CURSOR,
    "WITH oldest AS (SELECT letter.account_id": LETTERS,
    "SELECT session.account_id, session.session_id, session.profile_id, session.fingerprint, session.user_agent,"
    " session.address, session.access_id, session.refresh_id, session.issued_at, session.access_expires_at,"
    " session.refresh_expires_at, session.previous_refresh_id, session.rotated_at, session.created_at,"
    " session.last_used_at, session.ended_at, session.ended_because, session.token_name, session.scopes"
    " FROM session WHERE session.ended_at IS NULL AND session.refresh_expires_at <=": LETTERS,
    "SELECT account.account_id, account.email, account.password_hash, account.created_at, account.confirmed_at,"
    " account.closed_at, account.disabled_at FROM account WHERE account.closed_at IS NOT NULL": LETTERS,
    "SELECT account.account_id, account.email, account.password_hash, account.created_at, account.confirmed_at,"
    " account.closed_at, account.disabled_at, account_by_email.email_folded": OPERATORS,
    "SELECT account.password_hash FROM account WHERE account.password_hash LIKE": OPERATORS,
    "SELECT profile.profile_id, profile.account_id, profile.first_name, profile.last_name, profile.middle_name,"
    " profile.username, profile.phone, profile.username_folded, profile.first_name_folded,"
    " profile.last_name_folded, found.rank": SEARCH,
    "SELECT origin.generation, origin.base, (SELECT system_identifier": CURSOR,
    "SELECT chat_log.chat_id, max(chat_log.position)": CURSOR,
    "SELECT profile_log.profile_id, profile_log.position, profile_log.kind, profile_log.chat_id,"
    " profile_log.payload, profile_log.tx FROM profile_log WHERE profile_log.tx >=": CURSOR,
    "SELECT receipt.chat_id, receipt.profile_id, receipt.from_seq, receipt.to_seq, receipt.read_at, receipt.tx, receipt.early"
    " FROM receipt WHERE receipt.tx >=": CURSOR,
}
"""No key is known: each part of the table would be asked. None of them belongs to a request but the search, the cursor and the end of a direct chat."""
