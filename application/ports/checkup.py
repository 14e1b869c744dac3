"""What an operator learns about what is stored."""

from collections.abc import Sequence

from attrs import frozen


@frozen(kw_only=True)
class Finding:
    """``found`` is what is stored, ``expected`` what its definition says."""

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
