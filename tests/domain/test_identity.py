from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.identity import Identity, LastWayIn, Subject, refuse_losing_last_way
from domain.ids import AccountId, IdentityId

START = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize(("has_password", "other_ways"), [(True, 0), (False, 1), (True, 2)])
def test_a_way_that_is_not_the_last_may_go(*, has_password: bool, other_ways: int) -> None:
    refuse_losing_last_way(has_password=has_password, other_ways=other_ways)


def test_the_last_one_may_not() -> None:
    with pytest.raises(LastWayIn):
        refuse_losing_last_way(has_password=False, other_ways=0)


def test_a_use_is_noted_with_the_address_of_today() -> None:
    identity = Identity(
        id=IdentityId(UUID(int=1)),
        account_id=AccountId(UUID(int=2)),
        subject=Subject("https://accounts.example", "1"),
        email="old@example.com",
        linked_at=START,
    )
    later = START + timedelta(days=1)
    identity.use("new@example.com", at=later)
    assert (identity.email, identity.last_used_at, identity.linked_at) == ("new@example.com", later, START)
