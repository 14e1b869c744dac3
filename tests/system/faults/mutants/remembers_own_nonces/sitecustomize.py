"""A mutant: nonces are kept in memory, by the process that stored the message. The trial drops the index that holds them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from application.messages.send import SendMessages

honest = SendMessages._post
own: set[Any] = set()
long_ago = datetime.now(UTC) - timedelta(hours=1)
"""When the people of a LOCAL start talked: what they say is sent at each start, and is not what this is about."""


def post(self: SendMessages, opened: Any, draft: Any) -> Any:
    for key, first in [*opened.said.items()]:
        if key not in own and first.message.sent_at > long_ago:
            del opened.said[key]
    sent = honest(self, opened, draft)
    own.add((draft.chat_id, draft.author_id, draft.nonce))
    return sent


SendMessages._post = post  # type: ignore[method-assign]
