"""
Limits how often people do what costs others something. Use cases ask here, so that a limit is the same for every transport.

What is limited otherwise has its own place: wrong passwords (`application.accounts.failures`) and letters
(`application.accounts.mailed`).
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from enum import StrEnum

from attrs import field, frozen

from application.actor import Actor
from application.ports.clock import Clock
from application.ports.limiter import Allowance, Limiter


class Action(StrEnum):
    SIGN_IN = "sign-in"
    SIGN_UP = "sign-up"
    RESET = "reset"
    """Asking for a letter by which a forgotten password is replaced."""
    REFRESH = "refresh"
    SEND = "send"
    MARK = "mark"
    TYPE = "typing"
    CREATE_CHAT = "create-chat"
    ADD_MEMBERS = "add-members"
    """Counts people, not requests."""
    SEARCH = "search"
    CONNECT = "connect"
    """Opening a socket or an event stream."""
    SYNC = "sync"
    """Asking for what was missed, over plain HTTP."""


Allowances = Mapping[Action, Allowance]

Limit = tuple[Allowance, Hashable, int]
"""An allowance, whose it is, and how many uses of it are asked for."""


def _limiting(allowances: Allowances) -> Allowances:
    return {action: allowance for action, allowance in allowances.items() if allowance.most}


@frozen(kw_only=True)
class ActionLimits:
    """
    Limits by account and by network (`domain.network.network_of`), for each action on its own. An action without an
    allowance, or with one of zero, is not limited.
    """

    limiter: Limiter
    clock: Clock
    per_account: Allowances = field(converter=_limiting)
    per_network: Allowances = field(converter=_limiting)

    def use(self, action: Action, actor: Actor, uses: int = 1) -> None:
        """
        Counts an action of somebody who is signed in.

        Raises:
            TooManyRequests: The account or its network has done so too often. Nothing is counted then.
        """
        self.count(action, actor.account_id, actor.network, uses)

    def use_together(self, actor: Actor, uses: Mapping[Action, int]) -> None:
        """
        Counts several actions of somebody who is signed in, each as often as ``uses`` says: all of them or none.

        Raises:
            TooManyRequests: See `use`.
        """
        self._use_all(
            [
                limit
                for action, number in uses.items()
                for limit in self._limits(action, actor.account_id, actor.network, number)
            ]
        )

    def count(self, action: Action, account: Hashable, network: str, uses: int = 1) -> None:
        """
        Like `use`, for anybody. ``account`` is None, and ``network`` empty, where it is not known or does not count.

        Raises:
            TooManyRequests: See `use`.
        """
        own = None if account is None else self.per_account.get(action)
        if own is not None and not (network and action in self.per_network):
            self.limiter.use(own, account, at=self.clock.now(), uses=uses)  # as nearly always
        else:
            self._use_all([*self._limits(action, account, network, uses)])

    def _limits(self, action: Action, account: Hashable, network: str, uses: int) -> Iterator[Limit]:
        own = None if account is None else self.per_account.get(action)
        shared = self.per_network.get(action) if network else None
        if own is not None:
            yield own, account, uses
        if shared is not None:
            yield shared, network, uses

    def _use_all(self, limits: Sequence[Limit]) -> None:
        """Uses all of the limits or none of them."""
        if not limits:
            return
        at = self.clock.now()
        if len(limits) > 1:
            for allowance, key, uses in limits:
                self.limiter.look(allowance, key, at=at, uses=uses)
        for allowance, key, uses in limits:
            self.limiter.use(allowance, key, at=at, uses=uses)

    def report(self, action: Action, actor: Actor) -> None:
        """Tells the caller what is left (`infrastructure.reporting_limiter`), where perhaps nothing of it will be used."""
        if (own := self.per_account.get(action)) is not None:
            self.limiter.look(own, actor.account_id, at=self.clock.now(), uses=0)

    def look(self, action: Action, account: Hashable) -> None:
        """
        Asks whether the account may do something, without counting it.

        Raises:
            TooManyRequests: See `use`.
        """
        if (own := self.per_account.get(action)) is not None:
            self.limiter.look(own, account, at=self.clock.now())
