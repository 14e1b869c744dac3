from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.factor import (
    CodeWrong,
    FactorAlreadyOn,
    FactorNotOn,
    RecoveryDigest,
    SealedSecret,
    SecondFactor,
    step_at,
)
from domain.ids import AccountId

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
FIRST, SECOND, STRANGE = map(RecoveryDigest, ("first", "second", "strange"))


def begun() -> SecondFactor:
    return SecondFactor(account_id=AccountId(UUID(int=1)), secret=SealedSecret("sealed"), begun_at=NOW)


def on(step: int = 10) -> SecondFactor:
    factor = begun()
    factor.confirm(step, [FIRST, SECOND], at=NOW)
    return factor


def test_it_is_on_once_a_code_confirms_it() -> None:
    factor = begun()
    with pytest.raises(CodeWrong):
        factor.confirm(None, [FIRST], at=NOW)
    assert factor.confirmed_at is None
    assert factor.recovery == frozenset()
    factor.confirm(10, [FIRST, SECOND], at=NOW)
    assert factor.is_on
    assert factor.recovery == {FIRST, SECOND}
    with pytest.raises(FactorAlreadyOn):
        factor.confirm(11, [], at=NOW)


def test_nothing_is_accepted_before_it_is_on() -> None:
    factor = begun()
    with pytest.raises(FactorNotOn):
        factor.use_code(11)
    with pytest.raises(FactorNotOn):
        factor.use_recovery(FIRST)
    with pytest.raises(FactorNotOn):
        factor.renew_recovery([FIRST])


def test_the_code_that_confirmed_it_is_used_up() -> None:
    factor = on(10)
    with pytest.raises(CodeWrong):
        factor.use_code(10)
    factor.use_code(11)


@given(st.lists(st.integers(1, 20) | st.none(), max_size=30))
def test_each_step_is_accepted_once_and_never_after_a_later_one(steps: list[int | None]) -> None:
    factor, accepted = on(step=1), [1]
    for step in steps:
        try:
            factor.use_code(step)
        except CodeWrong:
            assert step is None or step <= accepted[-1]
        else:
            assert step is not None
            accepted.append(step)
    assert accepted == sorted(set(accepted))


def test_a_recovery_code_is_good_once() -> None:
    factor = on()
    factor.use_recovery(FIRST)
    with pytest.raises(CodeWrong):
        factor.use_recovery(FIRST)
    with pytest.raises(CodeWrong):
        factor.use_recovery(STRANGE)
    factor.use_recovery(SECOND)


def test_new_recovery_codes_void_the_former_ones() -> None:
    factor = on()
    factor.renew_recovery([STRANGE])
    with pytest.raises(CodeWrong):
        factor.use_recovery(FIRST)
    factor.use_recovery(STRANGE)


def test_a_step_is_half_a_minute() -> None:
    assert step_at(datetime(1970, 1, 1, 0, 0, 59, 999_999, tzinfo=UTC)) == 1
    assert step_at(datetime(1970, 1, 1, 0, 1, tzinfo=UTC)) == 2
