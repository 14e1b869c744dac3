"""A mutant: nonces are kept in memory, by the process that stored the message. The trial drops the index that holds them."""

from typing import Any

from application.messages.send import SendMessages

honest = SendMessages._post
own: set[Any] = set()


def post(self: SendMessages, opened: Any, draft: Any) -> Any:
    for key in [*opened.said]:
        if key not in own:
            del opened.said[key]
    sent = honest(self, opened, draft)
    own.add((draft.chat_id, draft.author_id, draft.nonce))
    return sent


SendMessages._post = post  # type: ignore[method-assign]
