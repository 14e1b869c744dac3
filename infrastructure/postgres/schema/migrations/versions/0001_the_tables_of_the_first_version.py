"""The tables of the first version"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account")),
    )
    op.create_index(
        "ix_account_closed_at",
        "account",
        ["closed_at"],
        unique=False,
        postgresql_where=sa.text("closed_at IS NOT NULL"),
    )
    op.create_table(
        "account_by_email",
        sa.Column("email_folded", sa.Text(collation="C"), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("email_folded", name=op.f("pk_account_by_email")),
    )
    op.create_table(
        "chat",
        sa.Column("chat_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("chat_id", name=op.f("pk_chat")),
    )
    op.create_table(
        "chat_head",
        sa.Column("chat_id", sa.Uuid(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_position", sa.BigInteger(), nullable=False),
        sa.Column("first_position", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("member_count", sa.Integer(), nullable=False),
        sa.Column("tx", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("chat_id", name=op.f("pk_chat_head")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "chat_log",
        sa.Column("chat_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("tx", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("chat_id", "position", name=op.f("pk_chat_log")),
    )
    op.create_index("ix_chat_log_tx", "chat_log", ["tx"], unique=False)
    op.create_table(
        "confirmation",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("confirmation_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "confirmation_id", name=op.f("pk_confirmation")),
    )
    op.create_index("ix_confirmation_expires_at", "confirmation", ["expires_at"], unique=False)
    op.create_table(
        "direct_chat",
        sa.Column("one_id", sa.Uuid(), nullable=False),
        sa.Column("other_id", sa.Uuid(), nullable=False),
        sa.Column("chat_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("one_id", "other_id", name=op.f("pk_direct_chat")),
    )
    op.create_index("ix_direct_chat_chat_id", "direct_chat", ["chat_id"], unique=False)
    op.create_table(
        "letter",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("letter_id", sa.Uuid(), nullable=False),
        sa.Column("template", sa.String(length=32), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("confirmation_id", sa.Uuid(), nullable=True),
        sa.Column("link_issued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("link_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "letter_id", name=op.f("pk_letter")),
    )
    op.create_index(
        "ix_letter_next_attempt_at_prepared",
        "letter",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("outcome = 'prepared'"),
    )
    op.create_index(
        "ix_letter_created_at_settled",
        "letter",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("outcome != 'prepared'"),
    )
    op.create_table(
        "member",
        sa.Column("chat_id", sa.Uuid(), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tx", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("chat_id", "profile_id", name=op.f("pk_member")),
    )
    op.create_table(
        "message",
        sa.Column("chat_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("sender_id", sa.Uuid(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("chat_id", "seq", name=op.f("pk_message")),
        sa.UniqueConstraint("chat_id", "message_id", name=op.f("uq_message_chat_id_message_id")),
        sa.UniqueConstraint("chat_id", "sender_id", "nonce", name=op.f("uq_message_chat_id_sender_id_nonce")),
    )
    op.create_table(
        "origin",
        sa.Column("id", sa.SmallInteger(), nullable=False),
        sa.Column("generation", sa.Uuid(), nullable=False),
        sa.Column("base", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_origin")),
    )
    op.create_table(
        "profile",
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("middle_name", sa.Text(), nullable=True),
        sa.Column("username", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("username_folded", sa.Text(collation="C"), nullable=True),
        sa.Column("first_name_folded", sa.Text(collation="C"), nullable=True),
        sa.Column("last_name_folded", sa.Text(collation="C"), nullable=True),
        sa.PrimaryKeyConstraint("profile_id", name=op.f("pk_profile")),
    )
    op.create_index("ix_profile_first_name_folded", "profile", ["first_name_folded"], unique=False)
    op.create_index("ix_profile_last_name_folded", "profile", ["last_name_folded"], unique=False)
    op.create_index("ix_profile_username_folded", "profile", ["username_folded"], unique=False)
    op.create_table(
        "profile_by_username",
        sa.Column("username_folded", sa.Text(collation="C"), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("username_folded", name=op.f("pk_profile_by_username")),
    )
    op.create_table(
        "profile_chat",
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("chat_id", sa.Uuid(), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("profile_id", "chat_id", name=op.f("pk_profile_chat")),
    )
    op.create_table(
        "profile_head",
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("last_position", sa.BigInteger(), nullable=False),
        sa.Column("first_position", sa.BigInteger(), nullable=False),
        sa.Column("tx", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("profile_id", name=op.f("pk_profile_head")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "profile_log",
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("chat_id", sa.Uuid(), nullable=True),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("tx", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("profile_id", "position", name=op.f("pk_profile_log")),
    )
    op.create_index("ix_profile_log_tx", "profile_log", ["tx"], unique=False)
    op.create_table(
        "profile_of_account",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_profile_of_account")),
    )
    op.create_table(
        "reading",
        sa.Column("chat_id", sa.Uuid(), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("mark", sa.BigInteger(), nullable=False),
        sa.Column("less", sa.BigInteger(), nullable=False),
        sa.Column("tx", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("chat_id", "profile_id", name=op.f("pk_reading")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "receipt",
        sa.Column("chat_id", sa.Uuid(), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("from_seq", sa.BigInteger(), nullable=False),
        sa.Column("to_seq", sa.BigInteger(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tx", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("chat_id", "profile_id", "from_seq", "to_seq", name=op.f("pk_receipt")),
    )
    op.create_index("ix_receipt_chat_id_to_seq", "receipt", ["chat_id", "to_seq"], unique=False)
    op.create_index("ix_receipt_tx", "receipt", ["tx"], unique=False)
    op.create_table(
        "session",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("access_id", sa.Text(), nullable=False),
        sa.Column("refresh_id", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("access_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refresh_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("previous_refresh_id", sa.Text(), nullable=True),
        sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_because", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "session_id", name=op.f("pk_session")),
    )
    op.create_index(
        "uq_session_account_id_fingerprint_live",
        "session",
        ["account_id", "fingerprint"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "ix_session_refresh_expires_at_live",
        "session",
        ["refresh_expires_at"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "ix_session_ended_at",
        "session",
        ["ended_at"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NOT NULL"),
    )
    # the name of this line of history; base stays 0 until the database moves to another cluster
    op.execute("INSERT INTO origin (id, generation, base) VALUES (1, gen_random_uuid(), 0)")


def downgrade() -> None:
    op.drop_index(
        "ix_session_ended_at", table_name="session", postgresql_where=sa.text("ended_at IS NOT NULL")
    )
    op.drop_index(
        "ix_session_refresh_expires_at_live",
        table_name="session",
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.drop_index(
        "uq_session_account_id_fingerprint_live",
        table_name="session",
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.drop_table("session")
    op.drop_index("ix_receipt_tx", table_name="receipt")
    op.drop_index("ix_receipt_chat_id_to_seq", table_name="receipt")
    op.drop_table("receipt")
    op.drop_table("reading")
    op.drop_table("profile_of_account")
    op.drop_index("ix_profile_log_tx", table_name="profile_log")
    op.drop_table("profile_log")
    op.drop_table("profile_head")
    op.drop_table("profile_chat")
    op.drop_table("profile_by_username")
    op.drop_index("ix_profile_username_folded", table_name="profile")
    op.drop_index("ix_profile_last_name_folded", table_name="profile")
    op.drop_index("ix_profile_first_name_folded", table_name="profile")
    op.drop_table("profile")
    op.drop_table("origin")
    op.drop_table("message")
    op.drop_table("member")
    op.drop_index(
        "ix_letter_created_at_settled",
        table_name="letter",
        postgresql_where=sa.text("outcome != 'prepared'"),
    )
    op.drop_index(
        "ix_letter_next_attempt_at_prepared",
        table_name="letter",
        postgresql_where=sa.text("outcome = 'prepared'"),
    )
    op.drop_table("letter")
    op.drop_index("ix_direct_chat_chat_id", table_name="direct_chat")
    op.drop_table("direct_chat")
    op.drop_index("ix_confirmation_expires_at", table_name="confirmation")
    op.drop_table("confirmation")
    op.drop_index("ix_chat_log_tx", table_name="chat_log")
    op.drop_table("chat_log")
    op.drop_table("chat_head")
    op.drop_table("chat")
    op.drop_table("account_by_email")
    op.drop_index(
        "ix_account_closed_at", table_name="account", postgresql_where=sa.text("closed_at IS NOT NULL")
    )
    op.drop_table("account")
