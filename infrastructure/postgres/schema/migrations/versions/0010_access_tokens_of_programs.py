"""Access tokens of programs: sessions with a name and scopes"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("session", sa.Column("token_name", sa.Text(), nullable=True))
    op.add_column("session", sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=True))


def downgrade() -> None:
    # Without its scopes a program's session would be a device's, which may do everything.
    op.execute("DELETE FROM session WHERE scopes IS NOT NULL")
    op.drop_column("session", "scopes")
    op.drop_column("session", "token_name")
