"""The check of a code that a person gives: of an application, or a recovery code."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from attrs import frozen

from application.ports.codes import Codes
from application.ports.limiter import Allowance, Limiter
from domain.factor import CODE_DIGITS, CodeWrong, RecoveryDigest, SecondFactor

Keys = Sequence[tuple[Allowance, str]]


@frozen(kw_only=True)
class CodeCheck:
    """
    Checks codes, and limits how often they may be wrong.

    The whole check runs without waiting for anything, on a locked account: a thousand guesses that arrive together are
    counted one after the other.

    ``device`` names a session or a known device of the account. It is empty for strangers, who are counted by ``network`` and
    all together.
    """

    codes: Codes
    limiter: Limiter
    wrong: Allowance
    """By account and session or known device; also by account and network of a stranger."""
    of_strangers: Allowance
    """By account, for all strangers together."""

    def __call__(
        self, factor: SecondFactor, code: str, *, device: str, network: str = "", at: datetime
    ) -> None:
        """
        Uses up a code of ``factor``, which the caller then stores.

        Raises:
            FactorNotOn: The factor is not on.
            CodeWrong: The code is wrong, or was used already.
            TooManyRequests: Codes were wrong too often.
        """
        keys = self._look(factor, device, network, at)
        try:
            if len(plain := _plain(code)) == CODE_DIGITS:
                factor.use_code(self._step_of(factor, plain, at))
            else:
                factor.use_recovery(self.codes.digest(plain))
        except CodeWrong:
            self._count(keys, at)
            raise

    def confirm(
        self,
        factor: SecondFactor,
        code: str,
        recovery: Iterable[RecoveryDigest],
        *,
        device: str,
        at: datetime,
    ) -> None:
        """
        Switches ``factor`` on by its first code; the caller then stores it.

        Raises:
            FactorAlreadyOn: It is on already.
            CodeWrong: The code is wrong.
            TooManyRequests: Codes were wrong too often.
        """
        keys = self._look(factor, device, "", at)
        try:
            factor.confirm(self._step_of(factor, _plain(code), at), recovery, at=at)
        except CodeWrong:
            self._count(keys, at)
            raise

    def _look(self, factor: SecondFactor, device: str, network: str, at: datetime) -> Keys:
        keys: Keys
        if device:
            keys = ((self.wrong, f"{factor.account_id} {device}"),)
        else:
            keys = (
                (self.wrong, f"{factor.account_id} from {network}"),
                (self.of_strangers, str(factor.account_id)),
            )
        for allowance, key in keys:
            self.limiter.look(allowance, key, at=at)
        return keys

    def _count(self, keys: Keys, at: datetime) -> None:
        for allowance, key in keys:
            self.limiter.use(allowance, key, at=at)

    def _step_of(self, factor: SecondFactor, code: str, at: datetime) -> int | None:
        return self.codes.step_of(code, factor.secret, factor.account_id, at=at)


def _plain(code: str) -> str:
    """Applications show codes in groups, and people type them so, with spaces or dashes between."""
    return "".join(filter(str.isalnum, code))
