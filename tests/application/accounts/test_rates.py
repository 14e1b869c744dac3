"""How often people sign in and up, refresh, and ask for letters; and who is limited by whom."""

from pathlib import Path

import pytest

from application.accounts.refresh import Refresh
from application.accounts.reset_password import ResetPassword
from application.accounts.sign_up import SignUp
from application.errors import NotAuthenticated
from application.ports.limiter import TooManyRequests
from config.adapters import memory_storage
from config.settings.groups import Limits
from domain.account import Email, Password
from domain.events import SessionEnd, SessionEnded
from domain.session import Fingerprint, Origin
from infrastructure.memory.storage import MemoryStorage
from tests.accounts_world import PASSWORD, AccountsWorld

ANN = "ann@example.com"


def people_with(mail: Path, limits: Limits, most_sessions: int = 0) -> AccountsWorld:
    return AccountsWorld(memory_storage(MemoryStorage()), mail, limits=limits, most_sessions=most_sessions)


async def test_only_the_right_password_uses_up_what_an_account_has(tmp_path: Path) -> None:
    people = people_with(tmp_path, Limits(sign_ins=2))
    await people.join(ANN)
    for _ in range(5):
        with pytest.raises(NotAuthenticated):
            await people.sign_in_as(ANN, "wrong")
    for device in ("first", "second"):
        await people.sign_in_as(ANN, device=device)
    with pytest.raises(TooManyRequests) as refused:
        await people.sign_in_as(ANN)
    assert refused.value.allowance.name == "sign-in"
    people.clock.pass_by(seconds=refused.value.wait)
    await people.sign_in_as(ANN)
    people.passwords.close()


async def test_a_network_may_only_try_so_often(tmp_path: Path) -> None:
    people = people_with(tmp_path, Limits(network_sign_ins=3))
    await people.join(ANN)
    for number in range(3):
        with pytest.raises(NotAuthenticated):
            await people.sign_in_as(f"{number}@example.com", address=f"2001:db8::{number}")
    with pytest.raises(TooManyRequests) as refused:
        await people.sign_in_as(ANN, address="2001:db8::9")
    assert refused.value.allowance.name == "sign-in from"
    await people.sign_in_as(ANN, address="2001:db8:1::9")
    people.passwords.close()


async def test_a_network_may_sign_up_and_forget_only_so_many(tmp_path: Path) -> None:
    people = people_with(tmp_path, Limits(network_sign_ups=1, network_resets=1))
    here = Origin(address="192.0.2.1")

    async def sign_up(address: str) -> None:
        command = SignUp(email=Email(address), password=Password(PASSWORD), origin=here)
        await people.accounts.sign_up(command)

    async def forget(address: str) -> None:
        await people.accounts.reset_password(ResetPassword(email=Email(address), origin=here))

    for use, name in ((sign_up, "sign-up from"), (forget, "reset from")):
        await use(ANN)
        with pytest.raises(TooManyRequests) as refused:
            await use("bob@example.com")
        assert refused.value.allowance.name == name
    people.passwords.close()


async def test_refreshing_is_limited_by_session_and_network(tmp_path: Path) -> None:
    people = people_with(tmp_path, Limits(refreshes=2, network_refreshes=3))
    await people.join(ANN)
    first, second = [await people.sign_in_as(ANN, device=device) for device in ("first", "second")]

    async def refresh(token: str, device: str) -> str:
        command = Refresh(token=token, fingerprint=Fingerprint(device), network="192.0.2.1")
        return (await people.accounts.refresh(command)).refresh_token

    token = first.refresh_token
    for _ in range(2):
        token = await refresh(token, "first")
    with pytest.raises(TooManyRequests) as refused:
        await refresh(token, "first")
    assert refused.value.allowance.name == "refresh"
    token = await refresh(second.refresh_token, "second")
    with pytest.raises(TooManyRequests) as refused:
        await refresh(token, "second")
    assert refused.value.allowance.name == "refresh from"
    people.passwords.close()


async def test_beyond_the_most_sessions_the_oldest_ends(tmp_path: Path) -> None:
    people = people_with(tmp_path, Limits(), most_sessions=3)
    opened = [await people.join(ANN)]
    for device in ("second", "third", "second", "fourth", "fifth"):
        people.clock.pass_by(minutes=1)
        opened.append(await people.sign_in_as(ANN, device=device))
    ended = [
        (event.session_id, event.reason) for event in people.published if isinstance(event, SessionEnded)
    ]
    gone = [opened[1], opened[0], opened[2]]  # its own device's, and then the oldest ones
    assert ended == [(each.session_id, SessionEnd.REPLACED) for each in gone]
    for each in opened[3:]:
        await people.actor(each)
    people.passwords.close()


async def test_as_many_sessions_as_one_likes_without_a_limit(tmp_path: Path) -> None:
    people = people_with(tmp_path, Limits())
    opened = [await people.join(ANN)]
    opened += [await people.sign_in_as(ANN, device=f"{number}") for number in range(5)]
    for each in opened:
        assert (await people.actor(each)).email == ANN
    people.passwords.close()
