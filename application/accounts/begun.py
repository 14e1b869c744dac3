from attrs import frozen

from application.ports.clock import Clock
from application.ports.limiter import Allowance, Limiter


@frozen(kw_only=True)
class BegunLimit:
    """
    Limits how often one network begins to sign in without a password. Nothing is proven yet then, so that there is no account to
    count for.
    """

    limiter: Limiter
    clock: Clock
    allowance: Allowance

    def use(self, network: str) -> None:
        """
        Raises:
            TooManyRequests: The network has begun too often.
        """
        self.limiter.use(self.allowance, network, at=self.clock.now())

    def report(self, network: str) -> None:
        """Tells the caller what is left, without using anything up."""
        self.limiter.look(self.allowance, network, at=self.clock.now(), uses=0)
