"""Addresses and usernames in the forms in which they are compared today"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from domain.account import Email
from domain.identifiers import folded
from domain.profile import Username
from infrastructure.postgres.account_rows import kept

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ADDRESSES = sa.text(
    "SELECT email_folded, email, account_id FROM account_by_email JOIN account USING (account_id)"
)
MOVE = sa.text(
    """
    UPDATE account_by_email SET email_folded = :present
    WHERE email_folded = :former
      AND NOT EXISTS (SELECT FROM account_by_email taken WHERE taken.email_folded = :present)
    """
)
PEOPLE = sa.text(
    """
    SELECT profile_id, username, first_name, last_name, username_folded, first_name_folded, last_name_folded
    FROM profile WHERE num_nonnulls(username, first_name, last_name) > 0 ORDER BY profile_id
    """
)
REFOLD = sa.text(
    """
    UPDATE profile SET username_folded = :username, first_name_folded = :first_name, last_name_folded = :last_name
    WHERE profile_id = :profile_id
    """
)
CLAIM = sa.text(
    """
    INSERT INTO profile_by_username (username_folded, profile_id) VALUES (:claim, :profile_id)
    ON CONFLICT DO NOTHING
    """
)
RELEASE = sa.text(
    "DELETE FROM profile_by_username WHERE username_folded = :claim AND profile_id = :profile_id"
)


def upgrade() -> None:
    """
    Recomputes the forms in which addresses, usernames and names are compared. If two accounts turn out to share an address,
    or two people have usernames that look alike, each keeps what it had, and no third one can take it.
    """
    connection = op.get_bind()
    for former, email, _ in connection.execute(ADDRESSES).all():
        present = Email(email).folded
        if present != former:
            connection.execute(MOVE, {"former": former, "present": present})
    # The oldest profiles come first, as profile ids are ordered by time.
    for row in connection.execute(PEOPLE).all():
        names = {name: _folded(getattr(row, name)) for name in ("username", "first_name", "last_name")}
        if any(names[name] != getattr(row, f"{name}_folded") for name in names):
            connection.execute(REFOLD, {**names, "profile_id": row.profile_id})
        username = kept(Username, row.username)
        if username is None:
            continue
        claims = username.claims
        for claim in sorted(claims):
            connection.execute(CLAIM, {"claim": claim, "profile_id": row.profile_id})
        if row.username_folded not in claims:
            connection.execute(RELEASE, {"claim": row.username_folded, "profile_id": row.profile_id})


def downgrade() -> None:
    """Does nothing: the former version still finds all but unusual spellings by these forms."""


def _folded(text: str | None) -> str | None:
    return None if text is None else folded(text)
