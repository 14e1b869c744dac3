"""
People sign in, refresh, reuse, revoke, reset, choose and sign out in any order, on several devices: a refresh token
works if and only if it is the present one of a session that nobody ended, and an access token as long as its session has
not ended. The same on every storage.
"""

from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from application.accounts.sign_out import SignOut
from application.accounts.signed_in import SignedIn
from application.errors import NotAuthenticated
from application.paging import Paging
from domain.events import SessionEnd, SessionEnded
from tests.accounts_world import AccountsWorld, quick_passwords
from tests.contracts.conftest import Rig

R = TypeVar("R")
ADDRESS = "one@example.com"
DEVICES = ("first", "phone", "tablet")
PASSWORDS = ("Correct-Horse", "Battery-Staple", "Tr0ub4dor-and-3")
GRACE = 10.0
EXAMPLES = {"memory": 25, "postgres": 10, "citus": 10}
"""The rules are the domain's, and the same examples begin on both."""


@define(eq=False)
class Family:
    """A session as it ought to be: its pairs from the first to the present one, and when they were exchanged."""

    device: str
    pairs: list[SignedIn]
    rotated_at: float = -GRACE
    is_over: bool = False

    @property
    def present(self) -> SignedIn:
        return self.pairs[-1]


@define(eq=False)
class Expected:
    password: str = PASSWORDS[0]
    now: float = 0
    families: list[Family] = field(factory=list)
    letters: list[str] = field(factory=list)
    """Tokens for a forgotten password that were not used yet."""
    used: list[str] = field(factory=list)

    def live(self) -> list[Family]:
        return [family for family in self.families if not family.is_over]


async def awaited(doing: Awaitable[R]) -> R:
    """A runner takes coroutines alone."""
    return await doing


def machine_on(rig: Rig, folder: Path, addresses: Any) -> type[RuleBasedStateMachine]:
    class Devices(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.expected = Expected()
            self.address = f"n{next(addresses)}-{ADDRESS}"
            # What limits guessing is tested elsewhere; here nothing is to be refused for having been tried before.
            self.people = AccountsWorld(rig.storage, folder, PASSWORD_POOL, is_limited=False)
            self.opened(DEVICES[0], self.run(self.people.join(self.address, self.expected.password)))

        def run(self, doing: Awaitable[R]) -> R:
            return rig.runner.run(awaited(doing))

        def refused(self, doing: Awaitable[object]) -> None:
            with pytest.raises(NotAuthenticated):
                self.run(doing)

        def opened(self, device: str, signed_in: SignedIn) -> None:
            for family in self.expected.live():
                family.is_over = family.is_over or family.device == device
            self.expected.families.append(Family(device, [signed_in]))

        def a_live_one(self, data: st.DataObject) -> Family:
            return data.draw(st.sampled_from(self.expected.live()))

        @rule(seconds=st.sampled_from([1.0, 9.0, 10.0, 60.0]))
        def time_passes(self, seconds: float) -> None:
            self.people.clock.pass_by(seconds=seconds)
            self.expected.now += seconds

        @rule(device=st.sampled_from(DEVICES), password=st.sampled_from(PASSWORDS))
        def sign_in(self, device: str, password: str) -> None:
            signing_in = self.people.sign_in_as(self.address, password, device)
            if password == self.expected.password:
                self.opened(device, self.run(signing_in))
            else:
                self.refused(signing_in)

        @precondition(lambda self: self.expected.families)
        @rule(data=st.data())
        def refresh_with_any_token_ever_given(self, data: st.DataObject) -> None:
            family = data.draw(st.sampled_from(self.expected.families))
            pair = data.draw(st.sampled_from(family.pairs))
            refreshing = self.people.refresh_with(pair.refresh_token, family.device)
            in_grace = family.pairs[-2:-1] == [pair] and self.expected.now < family.rotated_at + GRACE
            if family.is_over:
                self.refused(refreshing)
            elif pair is family.present:
                family.pairs.append(self.run(refreshing))
                family.rotated_at = self.expected.now
            elif in_grace:
                assert self.run(refreshing) == family.present
            else:
                self.refused(refreshing)
                family.is_over = True

        @precondition(lambda self: self.expected.live())
        @rule(data=st.data())
        def refresh_from_another_device(self, data: st.DataObject) -> None:
            family = self.a_live_one(data)
            self.refused(self.people.refresh_with(family.present.refresh_token, "a stranger's"))
            family.is_over = True

        @precondition(lambda self: self.expected.live())
        @rule(data=st.data())
        def revoke_one(self, data: st.DataObject) -> None:
            by, gone = self.a_live_one(data), self.a_live_one(data)
            self.run(self.people.revoke(by.present, gone.present.session_id, self.expected.password))
            gone.is_over = True

        @precondition(lambda self: self.expected.live())
        @rule(data=st.data())
        def revoke_all_others(self, data: st.DataObject) -> None:
            by = self.a_live_one(data)
            others = [family for family in self.expected.live() if family is not by]
            ended = self.run(self.people.revoke_others(by.present, self.expected.password))
            assert ended == len(others)
            for family in others:
                family.is_over = True

        @precondition(lambda self: self.expected.live())
        @rule(data=st.data(), password=st.sampled_from(PASSWORDS))
        def choose_a_password(self, data: st.DataObject, password: str) -> None:
            by = self.a_live_one(data)
            self.run(self.people.choose(by.present, password))
            self.expected.password = password
            self.expected.used += self.expected.letters
            self.expected.letters = []
            for family in self.expected.live():
                family.is_over = family is not by

        @rule()
        def forget_the_password(self) -> None:
            self.expected.used += self.expected.letters  # a newer letter voids the older
            self.expected.letters = [self.run(self.people.forget_password(self.address))]

        @precondition(lambda self: self.expected.letters)
        @rule(data=st.data(), device=st.sampled_from(DEVICES))
        def redeem(self, data: st.DataObject, device: str) -> None:
            token = data.draw(st.sampled_from(self.expected.letters))
            signed_in = self.run(self.people.redeem(token, device))
            for family in self.expected.live():
                family.is_over = True
            self.opened(device, signed_in)
            self.expected.used += self.expected.letters
            self.expected.letters = []

        @precondition(lambda self: self.expected.used)
        @rule(data=st.data())
        def redeem_what_was_used(self, data: st.DataObject) -> None:
            self.refused(self.people.redeem(data.draw(st.sampled_from(self.expected.used)), "any"))

        @precondition(lambda self: self.expected.families)
        @rule(data=st.data(), by_access=st.booleans(), by_refresh=st.booleans())
        def sign_out(self, data: st.DataObject, *, by_access: bool, by_refresh: bool) -> None:
            family = data.draw(st.sampled_from(self.expected.families))
            pair = data.draw(st.sampled_from(family.pairs))
            self.run(
                self.people.accounts.sign_out(
                    SignOut(
                        access_token=pair.access_token if by_access else None,
                        refresh_token=pair.refresh_token if by_refresh else None,
                    )
                )
            )
            in_grace = family.pairs[-2:-1] == [pair] and self.expected.now < family.rotated_at + GRACE
            if by_access or (by_refresh and (pair is family.present or in_grace)):
                family.is_over = True

        @invariant()
        def access_tokens_work_until_their_session_ends(self) -> None:
            for family in self.expected.families:
                for pair in family.pairs[-3:]:
                    if not family.is_over:
                        assert self.run(self.people.actor(pair)).session_id == pair.session_id
                    else:
                        self.refused(self.people.actor(pair))

        @invariant()
        def exactly_the_live_ones_are_listed(self) -> None:
            if live := self.expected.live():

                async def listed() -> set[object]:
                    actor = await self.people.actor(live[0].present)
                    return {
                        session.id for session in (await self.people.sessions.list(actor, Paging())).items
                    }

                assert self.run(listed()) == {family.present.session_id for family in live}

        @invariant()
        def every_end_was_told_once(self) -> None:
            ended = [event for event in self.people.published if isinstance(event, SessionEnded)]
            assert all(event.reason in SessionEnd for event in ended)
            assert sorted(event.session_id for event in ended) == sorted(
                family.present.session_id for family in self.expected.families if family.is_over
            )

    return Devices


PASSWORD_POOL = quick_passwords()


@pytest.mark.explored
def test_no_order_lets_a_revoked_token_through_or_keeps_a_stale_one(rig: Rig, tmp_path: Path) -> None:
    numbers = iter(range(1_000_000))
    run_state_machine_as_test(
        machine_on(rig, tmp_path / "mail", numbers),
        settings=settings(max_examples=EXAMPLES[rig.adapter], stateful_step_count=25),
    )
