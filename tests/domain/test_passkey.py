from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.ids import AccountId, PasskeyId
from domain.passkey import Passkey, PasskeyCopied, PasskeyName, PasskeyNameUnfit

START = datetime(2026, 11, 23, tzinfo=UTC)


def passkey(uses: int = 0) -> Passkey:
    return Passkey(
        id=PasskeyId(UUID(int=1)),
        account_id=AccountId(UUID(int=2)),
        credential_id="AAEC",
        public_key=b"key",
        name=PasskeyName("My phone"),
        uses=uses,
        created_at=START,
    )


@pytest.mark.parametrize(("before", "now"), [(0, 0), (0, 1), (1, 2), (5, 4_000_000_000)])
def test_uses_count_up_or_not_at_all(before: int, now: int) -> None:
    used = passkey(before)
    used.use(now, is_backed_up=True, at=START)
    assert (used.uses, used.is_backed_up, used.last_used_at) == (now, True, START)


@pytest.mark.parametrize(("before", "now"), [(1, 1), (1, 0), (2, 1)])
def test_counting_less_is_a_sign_of_a_copy(before: int, now: int) -> None:
    copied = passkey(before)
    with pytest.raises(PasskeyCopied):
        copied.use(now, is_backed_up=True, at=START)
    assert (copied.uses, copied.is_backed_up, copied.last_used_at) == (before, False, None)


@pytest.mark.parametrize("text", ["", "   ", "a" * 61, "two\nlines", "nul\x00", "\ud800"])
def test_names_are_one_line(text: str) -> None:
    with pytest.raises(PasskeyNameUnfit):
        PasskeyName(text)
