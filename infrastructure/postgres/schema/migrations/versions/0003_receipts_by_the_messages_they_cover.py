"""Indexes that find receipts by the messages they cover"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

LENGTH = "width_bucket(to_seq - from_seq, '{16,64,256,1024,4096,16384,65536,262144,1048576}'::bigint[])"


def upgrade() -> None:
    op.drop_constraint("pk_receipt", "receipt", type_="primary")
    op.create_primary_key("pk_receipt", "receipt", ["chat_id", "profile_id", "to_seq", "from_seq"])
    op.drop_index("ix_receipt_chat_id_to_seq", table_name="receipt")
    op.create_index(
        "ix_receipt_chat_id_to_seq_from_seq", "receipt", ["chat_id", "to_seq", "from_seq"], unique=False
    )
    op.create_index(
        "ix_receipt_chat_id_length_to_seq",
        "receipt",
        ["chat_id", sa.text(LENGTH), "to_seq"],
        unique=False,
        postgresql_where=sa.text("to_seq - from_seq >= 16"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_receipt_chat_id_length_to_seq",
        table_name="receipt",
        postgresql_where=sa.text("to_seq - from_seq >= 16"),
    )
    op.drop_index("ix_receipt_chat_id_to_seq_from_seq", table_name="receipt")
    op.create_index("ix_receipt_chat_id_to_seq", "receipt", ["chat_id", "to_seq"], unique=False)
    op.drop_constraint("pk_receipt", "receipt", type_="primary")
    op.create_primary_key("pk_receipt", "receipt", ["chat_id", "profile_id", "from_seq", "to_seq"])
