"""Identities and numbers. Distinct types, so that mixing two of them is a type error."""

from typing import NewType
from uuid import UUID

AccountId = NewType("AccountId", UUID)
"""Who signs in. Only `/accounts/` and tokens speak of accounts."""

ProfileId = NewType("ProfileId", UUID)
"""Whom others see. Members, senders and readers are profiles."""

SessionId = NewType("SessionId", UUID)
ConfirmationId = NewType("ConfirmationId", UUID)
LetterId = NewType("LetterId", UUID)
ChatId = NewType("ChatId", UUID)
MessageId = NewType("MessageId", UUID)

Seq = NewType("Seq", int)
"""A message's number in its chat: 1, 2, 3 ... without a hole, whatever rolled back on the way."""

Position = NewType("Position", int)
"""A durable event's number in the log of its chat; also 1, 2, 3 ... without a hole."""
