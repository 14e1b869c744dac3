"""The planner assumes few keys in tables of which several indexes begin with the key"""

from collections.abc import Sequence

from alembic import op
from sqlalchemy import MetaData, Table, exists, select

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

KEYS = {
    "member": "chat_id",
    "message": "chat_id",
    "reading": "chat_id",
    "receipt": "chat_id",
    "session": "account_id",
}


def upgrade() -> None:
    for table, key in KEYS.items():
        op.execute(f"ALTER TABLE {table} ALTER {key} SET (n_distinct = 200)")
        # Existing statistics know nothing of the setting. An empty table has none.
        if op.get_bind().scalar(select(exists().select_from(Table(table, MetaData())))):
            op.execute(f"ANALYZE {table}")


def downgrade() -> None:
    for table, key in KEYS.items():
        op.execute(f"ALTER TABLE {table} ALTER {key} RESET (n_distinct)")
