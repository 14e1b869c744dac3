"""The result of checking stored counters against the rows that they count."""

from collections.abc import Sequence

from attrs import frozen


@frozen(kw_only=True)
class Finding:
    """A stored value, ``found``, that differs from what its definition says, ``expected``."""

    what: str
    where: str
    found: object
    expected: object
    can_be_repaired: bool


@frozen(kw_only=True)
class Examined:
    chats: int = 0
    profiles: int = 0
    repaired: Sequence[Finding] = ()
    remaining: Sequence[Finding] = ()
