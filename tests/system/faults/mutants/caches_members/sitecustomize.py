"""A mutant: a person who was a member once counts as one until the process ends."""

from typing import Any

from application.messages.send import SendMessages

honest = SendMessages._post
members: set[Any] = set()


def post(self: SendMessages, opened: Any, draft: Any) -> Any:
    for key, author in opened.authors.items():
        if author.left_at is None:
            members.add(key)
        elif key in members:
            author.left_at = None
    return honest(self, opened, draft)


SendMessages._post = post  # type: ignore[method-assign]
