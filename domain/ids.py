"""Identities and numbers, each of a type of its own, so that confusing two of them is a type error."""

from typing import NewType
from uuid import UUID

AccountId = NewType("AccountId", UUID)
"""Identifies a person to the messenger itself. Only `/accounts/` and tokens show it."""

ProfileId = NewType("ProfileId", UUID)
"""Identifies a person to other people. Members, senders and readers are profiles."""

SessionId = NewType("SessionId", UUID)
ConfirmationId = NewType("ConfirmationId", UUID)
LetterId = NewType("LetterId", UUID)
EventId = NewType("EventId", UUID)
IdentityId = NewType("IdentityId", UUID)
PasskeyId = NewType("PasskeyId", UUID)
ChatId = NewType("ChatId", UUID)
MessageId = NewType("MessageId", UUID)

Seq = NewType("Seq", int)
"""A message's number in its chat: 1, 2, 3 ... without a gap, even when transactions are rolled back."""

Position = NewType("Position", int)
"""A durable event's number in the log of its chat: also 1, 2, 3 ... without a gap."""
