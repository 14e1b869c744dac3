"""Catalogues, purging of deleted chats, disabled accounts, and the home of the origin"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "catalogue",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("english_title", sa.Text(), nullable=True),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_catalogue")),
    )
    op.create_table(
        "catalogue_entry",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("english", sa.Text(), nullable=True),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", "key", name=op.f("pk_catalogue_entry")),
    )
    op.add_column("chat", sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_chat_deleted_at_unpurged",
        "chat",
        ["deleted_at"],
        unique=False,
        postgresql_where=sa.text("deleted_at IS NOT NULL AND purged_at IS NULL"),
    )
    op.add_column("account", sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True))
    # Identifies where `base` was chosen by cluster, database and table. A restore changes at least one of them.
    op.add_column("origin", sa.Column("home", sa.Text(), nullable=False, server_default=""))
    op.alter_column("origin", "home", server_default=None)
    op.execute(
        "UPDATE origin SET home = (SELECT system_identifier::text FROM pg_control_system())"
        " || '/' || (SELECT oid::text FROM pg_database WHERE datname = current_database())"
        " || '/' || tableoid::text"
    )


def downgrade() -> None:
    op.drop_column("origin", "home")
    op.drop_column("account", "disabled_at")
    op.drop_index(
        "ix_chat_deleted_at_unpurged",
        table_name="chat",
        postgresql_where=sa.text("deleted_at IS NOT NULL AND purged_at IS NULL"),
    )
    op.drop_column("chat", "purged_at")
    op.drop_table("catalogue_entry")
    op.drop_table("catalogue")
