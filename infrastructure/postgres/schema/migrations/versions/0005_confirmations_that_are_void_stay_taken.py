"""Void confirmations keep their ids, and bcrypt hashes are found"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

IS_BCRYPT = sa.text("password_hash LIKE '$2%'")


def upgrade() -> None:
    op.add_column("confirmation", sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_account_bcrypt", "account", ["account_id"], unique=False, postgresql_where=IS_BCRYPT)


def downgrade() -> None:
    op.drop_index("ix_account_bcrypt", table_name="account", postgresql_where=IS_BCRYPT)
    op.execute("DELETE FROM confirmation WHERE voided_at IS NOT NULL")
    op.drop_column("confirmation", "voided_at")
