"""An index of passwords that are still hashed by bcrypt"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

IS_BCRYPT = sa.text("password_hash LIKE '$2%'")


def upgrade() -> None:
    op.create_index("ix_account_bcrypt", "account", ["account_id"], unique=False, postgresql_where=IS_BCRYPT)


def downgrade() -> None:
    op.drop_index("ix_account_bcrypt", table_name="account", postgresql_where=IS_BCRYPT)
