"""Indexes of read marks, and of receipts in the order of time"""

from collections.abc import Sequence

from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index("ix_reading_chat_id_mark", "reading", ["chat_id", "mark"])
    op.create_index(
        "ix_receipt_chat_id_to_seq_read_at_from_seq", "receipt", ["chat_id", "to_seq", "read_at", "from_seq"]
    )
    op.drop_index("ix_receipt_chat_id_to_seq_from_seq", table_name="receipt")


def downgrade() -> None:
    op.create_index("ix_receipt_chat_id_to_seq_from_seq", "receipt", ["chat_id", "to_seq", "from_seq"])
    op.drop_index("ix_receipt_chat_id_to_seq_read_at_from_seq", table_name="receipt")
    op.drop_index("ix_reading_chat_id_mark", table_name="reading")
