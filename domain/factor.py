"""
The second factor: codes that an application on the owner's phone shows (TOTP, RFC 6238), and recovery codes for its loss.

An account has none until its owner sets one up. From then on a password alone opens no session.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from attrs import define, field, frozen
from attrs.setters import frozen as never

from domain.errors import Conflict, Forbidden
from domain.ids import AccountId

STEP_SECONDS: Final = 30
"""For how long an application shows one code."""

CODE_DIGITS: Final = 6
"""The length of a code that an application shows. A recovery code is longer."""

RECOVERY_CODES: Final = 10
"""How many recovery codes an account gets at once."""


class CodeWrong(Forbidden):
    """The code is wrong, expired or used already, or none was given where one is needed."""

    code = "code_wrong"


class FactorAlreadyOn(Conflict):
    code = "factor_already_on"


class FactorNotOn(Conflict):
    """The account has no second factor, or has not confirmed the one that it began to set up."""

    code = "factor_not_on"


class FactorsUnavailable(Conflict):
    """The operator of this messenger has not switched second factors on."""

    code = "factors_unavailable"


@frozen
class SealedSecret:
    """The secret that codes are made from, encrypted, as it is stored."""

    text: str = field(repr=False)


@frozen
class RecoveryDigest:
    """Stands for a recovery code in storage. The code itself is shown to its owner once."""

    text: str = field(repr=False)


def step_at(at: datetime) -> int:
    """The number of the interval of `STEP_SECONDS` that a moment lies in. Each has one code."""
    return int(at.timestamp()) // STEP_SECONDS


@define(eq=False, kw_only=True)
class SecondFactor:
    """
    The second factor of an account, which is on once its owner has confirmed it.

    A code is good once. The step of the last code that was accepted is remembered, and no code of that step or an earlier
    one is accepted again, so that somebody who sees it being typed cannot use it.
    """

    account_id: AccountId = field(on_setattr=never)
    secret: SealedSecret = field(on_setattr=never)
    begun_at: datetime = field(on_setattr=never)
    confirmed_at: datetime | None = None
    last_step: int = 0
    recovery: frozenset[RecoveryDigest] = frozenset()
    """Stands for the recovery codes that are left."""

    @property
    def is_on(self) -> bool:
        return self.confirmed_at is not None

    def confirm(self, step: int | None, recovery: Iterable[RecoveryDigest], *, at: datetime) -> None:
        """
        Switches the factor on with the first code of the owner's application. ``step`` is the step that the given code
        belongs to, or None if it is no code of this secret; so it is below.

        Raises:
            FactorAlreadyOn: It was confirmed before.
            CodeWrong: The code is wrong; the factor stays as it was.
        """
        if self.is_on:
            raise FactorAlreadyOn
        self._use(step)
        self.confirmed_at = at
        self.recovery = frozenset(recovery)

    def use_code(self, step: int | None) -> None:
        """
        Raises:
            FactorNotOn: The factor is not on.
            CodeWrong: The code is wrong, or was used already.
        """
        self._refuse_off()
        self._use(step)

    def use_recovery(self, digest: RecoveryDigest) -> None:
        """
        Raises:
            FactorNotOn: The factor is not on.
            CodeWrong: There is no such recovery code, or it was used already.
        """
        self._refuse_off()
        if digest not in self.recovery:
            raise CodeWrong
        self.recovery -= {digest}

    def renew_recovery(self, recovery: Iterable[RecoveryDigest]) -> None:
        """
        Exchanges all recovery codes, used or not, for others.

        Raises:
            FactorNotOn: The factor is not on.
        """
        self._refuse_off()
        self.recovery = frozenset(recovery)

    def _refuse_off(self) -> None:
        if not self.is_on:
            raise FactorNotOn

    def _use(self, step: int | None) -> None:
        if step is None or step <= self.last_step:
            raise CodeWrong
        self.last_step = step
