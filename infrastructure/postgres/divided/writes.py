"""The statements of units of work as Citus accepts them, where it refuses those for one server."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import text

from domain.group_rules import ANSWERED_WITHIN
from infrastructure.postgres.changes import ORIGIN
from infrastructure.postgres.chats import ACQUAINTED, PEOPLE
from infrastructure.postgres.divided.reads import ORIGIN_TEXT

VARIANTS: Final[Mapping[Any, Any]] = {
    ORIGIN: text(ORIGIN_TEXT.replace(":", "\\:")),
    ACQUAINTED: text(
        f"""
        WITH both_in AS MATERIALIZED (
            SELECT theirs.profile_id, theirs.chat_id
            FROM profile_chat AS own
            JOIN profile_chat AS theirs ON theirs.chat_id = own.chat_id
            WHERE own.profile_id = :profile AND theirs.profile_id = ANY (:people)
                AND theirs.profile_id <> :profile AND own.left_at IS NULL AND theirs.left_at IS NULL
        )
        SELECT DISTINCT both_in.profile_id
        FROM both_in JOIN chat AS shared ON shared.chat_id = both_in.chat_id
        WHERE shared.kind <> 'direct' OR shared.owner_id = both_in.profile_id OR EXISTS (
            SELECT FROM (
                SELECT message.sender_id FROM message
                WHERE message.chat_id = shared.chat_id ORDER BY message.seq DESC LIMIT {ANSWERED_WITHIN}
            ) AS recent
            WHERE recent.sender_id = both_in.profile_id
        )
        ORDER BY both_in.profile_id
        """  # noqa: S608 - a number of ours
    ).bindparams(PEOPLE),
}
"""By the statement for one server, the one that takes its place. It has the same parameters and columns."""
