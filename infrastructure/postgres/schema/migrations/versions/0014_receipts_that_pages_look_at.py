"""Receipts that pages of history look at"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

LENGTH = "width_bucket(to_seq - from_seq, '{16,64,256,1024,4096,16384,65536,262144,1048576}'::bigint[])"
LONG = "to_seq - from_seq >= 16"


def upgrade() -> None:
    op.add_column("reading", sa.Column("read_at", sa.DateTime(timezone=True), nullable=True))
    # Pages look at all receipts that there are already, which is right, and takes as long as before.
    op.add_column("receipt", sa.Column("early", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.create_index(
        "ix_receipt_chat_id_early_to_seq_read_at_from_seq",
        "receipt",
        ["chat_id", "early", "to_seq", "read_at", "from_seq"],
    )
    op.create_index(
        "ix_receipt_chat_id_early_length_to_seq",
        "receipt",
        ["chat_id", "early", sa.text(LENGTH), "to_seq"],
        postgresql_where=sa.text(LONG),
    )
    op.drop_index("ix_receipt_chat_id_to_seq_read_at_from_seq", table_name="receipt")
    op.drop_index("ix_receipt_chat_id_length_to_seq", table_name="receipt", postgresql_where=sa.text(LONG))


def downgrade() -> None:
    op.create_index(
        "ix_receipt_chat_id_length_to_seq",
        "receipt",
        ["chat_id", sa.text(LENGTH), "to_seq"],
        postgresql_where=sa.text(LONG),
    )
    op.create_index(
        "ix_receipt_chat_id_to_seq_read_at_from_seq", "receipt", ["chat_id", "to_seq", "read_at", "from_seq"]
    )
    op.drop_index(
        "ix_receipt_chat_id_early_length_to_seq", table_name="receipt", postgresql_where=sa.text(LONG)
    )
    op.drop_index("ix_receipt_chat_id_early_to_seq_read_at_from_seq", table_name="receipt")
    op.drop_column("receipt", "early")
    op.drop_column("reading", "read_at")
