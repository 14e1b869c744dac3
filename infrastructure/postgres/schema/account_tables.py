"""
The tables of accounts and what belongs to them.

What must be unique over all accounts is a lookup table whose primary key is the value: e-mail addresses and usernames in the
form in which they are compared, identities at providers, and the profile of an account.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY

from infrastructure.postgres.schema.base import BY_ACCOUNT, BY_PROFILE, CROWDED, LOOKUP, metadata, moment

account = Table(
    "account",
    metadata,
    Column("account_id", Uuid, primary_key=True),
    Column("email", Text, nullable=False),
    Column("password_hash", Text),
    moment("created_at"),
    moment("confirmed_at", nullable=True),
    moment("closed_at", nullable=True),
    moment("disabled_at", nullable=True),
    info=BY_ACCOUNT,
)
# Contains only closed accounts that are still to be removed.
Index("ix_account_closed_at", account.c.closed_at, postgresql_where=account.c.closed_at.is_not(None))

# Contains only accounts that still have a bcrypt hash of the original messenger.
Index(
    "ix_account_bcrypt",
    account.c.account_id,
    postgresql_where=account.c.password_hash.like("$2%"),
)

account_by_email = Table(
    "account_by_email",
    metadata,
    Column("email_folded", Text(collation="C"), primary_key=True),
    Column("account_id", Uuid, nullable=False),
    info=LOOKUP,
)

confirmation = Table(
    "confirmation",
    metadata,
    Column("account_id", Uuid, primary_key=True),
    Column("confirmation_id", Uuid, primary_key=True),
    Column("email", Text, nullable=False),
    Column("password_hash", Text),
    moment("issued_at"),
    moment("expires_at"),
    Index("ix_confirmation_expires_at", "expires_at"),
    info=BY_ACCOUNT,
)

second_factor = Table(
    "second_factor",
    metadata,
    Column("account_id", Uuid, primary_key=True),
    # sealed, with a key that is not in the database
    Column("secret", Text, nullable=False),
    moment("begun_at"),
    moment("confirmed_at", nullable=True),
    Column("last_step", BigInteger, nullable=False),
    # digests of the recovery codes that are left, sorted
    Column("recovery", ARRAY(Text), nullable=False),
    info=BY_ACCOUNT,
)

identity = Table(
    "identity",
    metadata,
    Column("account_id", Uuid, primary_key=True),
    Column("identity_id", Uuid, primary_key=True),
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("email", Text),
    moment("linked_at"),
    moment("last_used_at", nullable=True),
    info=BY_ACCOUNT,
)

account_by_identity = Table(
    "account_by_identity",
    metadata,
    Column("issuer", Text(collation="C"), primary_key=True),
    Column("subject", Text(collation="C"), primary_key=True),
    Column("account_id", Uuid, nullable=False),
    info=LOOKUP,
)

passkey = Table(
    "passkey",
    metadata,
    Column("account_id", Uuid, primary_key=True),
    Column("passkey_id", Uuid, primary_key=True),
    Column("credential_id", Text, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("name", Text, nullable=False),
    Column("uses", BigInteger, nullable=False),
    Column("is_backed_up", Boolean, nullable=False),
    moment("created_at"),
    moment("last_used_at", nullable=True),
    info=BY_ACCOUNT,
)

session = Table(
    "session",
    metadata,
    Column("account_id", Uuid, primary_key=True),
    Column("session_id", Uuid, primary_key=True),
    Column("profile_id", Uuid, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("user_agent", Text),
    Column("address", Text),
    Column("access_id", Text, nullable=False),
    Column("refresh_id", Text, nullable=False),
    moment("issued_at"),
    moment("access_expires_at"),
    moment("refresh_expires_at"),
    Column("previous_refresh_id", Text),
    moment("rotated_at", nullable=True),
    moment("created_at"),
    moment("last_used_at"),
    moment("ended_at", nullable=True),
    Column("ended_because", String(32)),
    # of a session that is a program's; null for a device
    Column("token_name", Text),
    Column("scopes", ARRAY(Text)),
    info=BY_ACCOUNT | CROWDED,
)
Index(
    "uq_session_account_id_fingerprint_live",
    session.c.account_id,
    session.c.fingerprint,
    unique=True,
    postgresql_where=session.c.ended_at.is_(None),
)
Index(
    "ix_session_refresh_expires_at_live",
    session.c.refresh_expires_at,
    postgresql_where=session.c.ended_at.is_(None),
)
Index("ix_session_ended_at", session.c.ended_at, postgresql_where=session.c.ended_at.is_not(None))

account_event = Table(
    "account_event",
    metadata,
    Column("account_id", Uuid, primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("act", String(32), nullable=False),
    moment("at"),
    Column("session_id", Uuid),
    Column("user_agent", Text),
    Column("address", Text),
    Index("ix_account_event_account_id_at_event_id", "account_id", "at", "event_id"),
    Index("ix_account_event_at", "at"),
    info=BY_ACCOUNT | CROWDED,
)

letter = Table(
    "letter",
    metadata,
    Column("account_id", Uuid, primary_key=True),
    Column("letter_id", Uuid, primary_key=True),
    Column("template", String(32), nullable=False),
    Column("recipient", Text, nullable=False),
    Column("confirmation_id", Uuid),
    moment("link_issued_at", nullable=True),
    moment("link_expires_at", nullable=True),
    Column("user_agent", Text),
    Column("address", Text),
    moment("created_at"),
    moment("next_attempt_at"),
    Column("attempts", Integer, nullable=False),
    moment("claimed_until", nullable=True),
    Column("outcome", String(16), nullable=False),
    Column("reason", Text),
    info=BY_ACCOUNT,
)
# Contains only letters that wait, so it stays small however many were sent.
Index(
    "ix_letter_next_attempt_at_prepared",
    letter.c.next_attempt_at,
    postgresql_where=letter.c.outcome == "prepared",
)
Index("ix_letter_created_at_settled", letter.c.created_at, postgresql_where=letter.c.outcome != "prepared")

idempotency_key = Table(
    "idempotency_key",
    metadata,
    # the account, or an id derived from an address if nobody is signed in (`application.keys.owned_by_address`)
    Column("account_id", Uuid, primary_key=True),
    Column("key", Text(collation="C"), primary_key=True),
    Column("operation", String(32), nullable=False),
    Column("digest", Uuid, nullable=False),
    Column("subject_id", Uuid, nullable=False),
    moment("used_at"),
    moment("expires_at", nullable=True),
    info=BY_ACCOUNT,
)
# Contains only keys that expire.
Index(
    "ix_idempotency_key_expires_at",
    idempotency_key.c.expires_at,
    postgresql_where=idempotency_key.c.expires_at.is_not(None),
)

profile = Table(
    "profile",
    metadata,
    Column("profile_id", Uuid, primary_key=True),
    Column("account_id", Uuid, nullable=False),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("middle_name", Text),
    Column("username", Text),
    Column("phone", Text),
    # The forms that are searched. With C collation an index serves prefixes, and the order is the same on every server.
    Column("username_folded", Text(collation="C")),
    Column("first_name_folded", Text(collation="C")),
    Column("last_name_folded", Text(collation="C")),
    # The id is included so that a page within many people of the same name is an index range too.
    Index("ix_profile_username_folded_profile_id", "username_folded", "profile_id"),
    Index("ix_profile_first_name_folded_profile_id", "first_name_folded", "profile_id"),
    Index("ix_profile_last_name_folded_profile_id", "last_name_folded", "profile_id"),
    info=BY_PROFILE,
)

profile_of_account = Table(
    "profile_of_account",
    metadata,
    Column("account_id", Uuid, primary_key=True),
    Column("profile_id", Uuid, nullable=False),
    info=LOOKUP,
)

profile_by_username = Table(
    "profile_by_username",
    metadata,
    Column("username_folded", Text(collation="C"), primary_key=True),
    Column("profile_id", Uuid, nullable=False),
    info=LOOKUP,
)
