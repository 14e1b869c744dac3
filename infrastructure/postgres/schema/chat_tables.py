"""
The tables of chats: heads and both logs, members, messages, readings and receipts.

There are no foreign keys, triggers or sequences: a chat's rows are written under the lock of its head, and readings and
receipts under the lock of the reading. ``tx`` names the transaction that last wrote a row; docs/storage.md, "The cursor",
explains its use.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    and_,
    func,
    literal_column,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB

from infrastructure.postgres.schema.base import (
    BY_CHAT,
    BY_PROFILE,
    CROWDED,
    LOOKUP,
    REFERENCE,
    metadata,
    moment,
    stamp,
)

chat = Table(
    "chat",
    metadata,
    Column("chat_id", Uuid, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("owner_id", Uuid, nullable=False),
    moment("created_at"),
    moment("updated_at"),
    moment("deleted_at", nullable=True),
    moment("purged_at", nullable=True),
    info=BY_CHAT,
)
# Contains only deleted chats that wait to be purged.
Index(
    "ix_chat_deleted_at_unpurged",
    chat.c.deleted_at,
    postgresql_where=and_(chat.c.deleted_at.is_not(None), chat.c.purged_at.is_(None)),
)

chat_head = Table(
    "chat_head",
    metadata,
    Column("chat_id", Uuid, primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
    Column("last_position", BigInteger, nullable=False),
    Column("first_position", BigInteger, nullable=False),
    moment("last_at", nullable=True),
    Column("member_count", Integer, nullable=False),
    stamp(),
    info=BY_CHAT,
    # half of each page stays free, so that updates of a head find room on its page and touch no index (HOT)
    postgresql_with={"fillfactor": 50},
)

chat_log = Table(
    "chat_log",
    metadata,
    Column("chat_id", Uuid, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("kind", SmallInteger, nullable=False),
    Column("seq", BigInteger),
    Column("payload", JSONB),
    stamp(),
    Index("ix_chat_log_tx", "tx"),
    info=BY_CHAT,
)

member = Table(
    "member",
    metadata,
    Column("chat_id", Uuid, primary_key=True),
    Column("profile_id", Uuid, primary_key=True),
    Column("role", String(16), nullable=False),
    moment("joined_at"),
    moment("left_at", nullable=True),
    stamp(),
    info=BY_CHAT | CROWDED,
)

# The order in which the members of a chat are listed.
Index(
    "ix_member_chat_id_joined_at_profile_id_present",
    member.c.chat_id,
    member.c.joined_at,
    member.c.profile_id,
    postgresql_where=member.c.left_at.is_(None),
)

message = Table(
    "message",
    metadata,
    Column("chat_id", Uuid, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("message_id", Uuid, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("sender_id", Uuid, nullable=False),
    Column("nonce", Text, nullable=False),
    Column("body", Text, nullable=False),
    moment("sent_at"),
    UniqueConstraint("chat_id", "sender_id", "nonce"),
    UniqueConstraint("chat_id", "message_id"),
    info=BY_CHAT | CROWDED,
)

reading = Table(
    "reading",
    metadata,
    Column("chat_id", Uuid, primary_key=True),
    Column("profile_id", Uuid, primary_key=True),
    Column("mark", BigInteger, nullable=False),
    Column("less", BigInteger, nullable=False),
    stamp(),
    # the latest time of this reader's receipts in the chat; NULL if none was written since revision 0014
    moment("read_at", nullable=True),
    # serves the highest mark of the other members, read for every socket that opens; sends change no mark and so do not
    # touch this index
    Index("ix_reading_chat_id_mark", "chat_id", "mark"),
    info=BY_CHAT | CROWDED,
    postgresql_with={"fillfactor": 50},
)

receipt = Table(
    "receipt",
    metadata,
    Column("chat_id", Uuid),
    Column("profile_id", Uuid),
    Column("from_seq", BigInteger),
    Column("to_seq", BigInteger),
    moment("read_at"),
    stamp(),
    # False if no page of history needs it (`infrastructure.postgres.receipts`); processes of an earlier version do not set it
    Column("early", Boolean, nullable=False, server_default=true()),
    # each move of a mark looks up receipts after it; to_seq comes first because few receipts end there
    PrimaryKeyConstraint("chat_id", "profile_id", "to_seq", "from_seq"),
    Index("ix_receipt_tx", "tx"),
    # finds the first reader of the last message: the earliest of the receipts that end at it
    Index(
        "ix_receipt_chat_id_early_to_seq_read_at_from_seq",
        "chat_id",
        "early",
        "to_seq",
        "read_at",
        "from_seq",
    ),
    info=BY_CHAT | CROWDED,
)

LENGTHS: Final = tuple(16 * 4**power for power in range(9))
"""
Bounds of the length classes of receipts. A receipt that covers a message ends at it or at any later one, so without a bound
on lengths all later receipts would have to be searched. Receipts at least as long as the first bound are indexed by their
class: one of a class ends less than the next bound after the message. Decision 11 has the details.
"""

beyond = receipt.c.to_seq - receipt.c.from_seq
"""The number of messages that a receipt covers, less one."""

length = func.width_bucket(beyond, literal_column(f"'{{{','.join(map(str, LENGTHS))}}}'::bigint[]"))
"""The length class of a receipt: the number of bounds in ``LENGTHS`` that ``beyond`` reaches."""

# Contains few rows: nearly all receipts cover just one new message.
Index(
    "ix_receipt_chat_id_early_length_to_seq",
    receipt.c.chat_id,
    receipt.c.early,
    length,
    receipt.c.to_seq,
    postgresql_where=beyond >= literal_column(f"{LENGTHS[0]}"),
)

profile_chat = Table(
    "profile_chat",
    metadata,
    Column("profile_id", Uuid, primary_key=True),
    Column("chat_id", Uuid, primary_key=True),
    moment("joined_at"),
    moment("left_at", nullable=True),
    info=BY_PROFILE,
)

profile_head = Table(
    "profile_head",
    metadata,
    Column("profile_id", Uuid, primary_key=True),
    Column("last_position", BigInteger, nullable=False),
    Column("first_position", BigInteger, nullable=False),
    stamp(),
    info=BY_PROFILE,
    postgresql_with={"fillfactor": 50},
)

profile_log = Table(
    "profile_log",
    metadata,
    Column("profile_id", Uuid, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("kind", SmallInteger, nullable=False),
    Column("chat_id", Uuid),
    Column("payload", JSONB),
    stamp(),
    Index("ix_profile_log_tx", "tx"),
    info=BY_PROFILE,
)

direct_chat = Table(
    "direct_chat",
    metadata,
    Column("one_id", Uuid, primary_key=True),
    Column("other_id", Uuid, primary_key=True),
    Column("chat_id", Uuid, nullable=False),
    Index("ix_direct_chat_chat_id", "chat_id"),
    info=LOOKUP,
)
"""The chat of two people, the one with the smaller id first."""

origin = Table(
    "origin",
    metadata,
    Column("id", SmallInteger, primary_key=True),
    Column("generation", Uuid, nullable=False),
    Column("base", BigInteger, nullable=False),
    Column("home", Text, nullable=False),
    info=REFERENCE,
)
"""
Has one row. ``generation`` names this line of history. ``base`` is added to transaction numbers, so that they go on rising in
a new cluster. ``home`` identifies where ``base`` was chosen (`infrastructure.postgres.server.adoption`).
"""
