"""Events of accounts, for their owners to see"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "account_event",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("act", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "event_id", name=op.f("pk_account_event")),
    )
    op.create_index(
        "ix_account_event_account_id_at_event_id",
        "account_event",
        ["account_id", "at", "event_id"],
        unique=False,
    )
    op.create_index("ix_account_event_at", "account_event", ["at"], unique=False)
    op.execute("ALTER TABLE account_event ALTER account_id SET (n_distinct = 200)")


def downgrade() -> None:
    op.drop_table("account_event")
