"""A mutant: a nonce is known to the process that stored it, and to no later one."""

from datetime import UTC, datetime, timedelta
from typing import Any

from application.messages.send import SendMessages

honest = SendMessages._post
started = datetime.now(UTC)
long_ago = started - timedelta(hours=1)
"""When the people of a LOCAL start talked: what they say is sent at each start, and is not what this is about."""


def post(self: SendMessages, opened: Any, draft: Any) -> Any:
    for key, first in list(opened.said.items()):
        if long_ago < first.message.sent_at < started:
            del opened.said[key]
    return honest(self, opened, draft)


SendMessages._post = post  # type: ignore[method-assign]
