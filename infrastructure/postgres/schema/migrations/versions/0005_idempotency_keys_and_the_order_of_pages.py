"""Idempotency keys, and indexes in the order of pages"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NAMES = ("username_folded", "first_name_folded", "last_name_folded")


def upgrade() -> None:
    op.create_table(
        "idempotency_key",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("operation", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "key", name=op.f("pk_idempotency_key")),
    )
    op.create_index(
        "ix_idempotency_key_expires_at",
        "idempotency_key",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
    op.create_index(
        "ix_member_chat_id_joined_at_profile_id_present",
        "member",
        ["chat_id", "joined_at", "profile_id"],
        unique=False,
        postgresql_where=sa.text("left_at IS NULL"),
    )
    for name in NAMES:
        op.drop_index(f"ix_profile_{name}", table_name="profile")
        op.create_index(f"ix_profile_{name}_profile_id", "profile", [name, "profile_id"], unique=False)


def downgrade() -> None:
    for name in reversed(NAMES):
        op.drop_index(f"ix_profile_{name}_profile_id", table_name="profile")
        op.create_index(f"ix_profile_{name}", "profile", [name], unique=False)
    op.drop_index(
        "ix_member_chat_id_joined_at_profile_id_present",
        table_name="member",
        postgresql_where=sa.text("left_at IS NULL"),
    )
    op.drop_index(
        "ix_idempotency_key_expires_at",
        table_name="idempotency_key",
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
    op.drop_table("idempotency_key")
