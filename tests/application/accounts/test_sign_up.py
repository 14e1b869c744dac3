import pytest

from application.accounts.email_status import EmailStatus
from application.ports.limiter import TooManyRequests
from domain.account import Email, EmailIncorrect, EmailTaken
from tests.accounts_world import AccountsWorld, letters_in


async def test_signing_up_sends_a_letter_and_signs_nobody_in(people: AccountsWorld) -> None:
    signed_up = await people.sign_up_as("New@example.com")
    assert signed_up.email == "New@example.com"
    assert len(people.woken) == 1
    await people.workers.letters.once()
    (letter,) = letters_in(people.mail)
    assert letter["To"] == "New@example.com"
    assert people.links == [
        f"New@example.com: http://chat.example/confirm-email?token={people.links[0].split('token=')[1]}"
    ]
    assert people.published == []


async def test_signing_up_again_is_the_same_account(people: AccountsWorld) -> None:
    first = await people.sign_up_as("new@example.com", "Password1")
    again = await people.sign_up_as("NEW@example.com", "Password2")
    assert again.account_id == first.account_id
    assert again.email == "NEW@example.com"
    await people.workers.letters.once()
    assert len(letters_in(people.mail)) == 2


async def test_a_confirmed_address_is_taken_in_any_case(people: AccountsWorld) -> None:
    await people.join("new@example.com")
    with pytest.raises(EmailTaken):
        await people.sign_up_as("New@Example.com")
    assert people.woken == [], "no letter was written, so nothing wakes the sender of letters"


@pytest.mark.parametrize(
    "address", ["a..b@example.com", "a@-example.com", "a@xn--a.com", "a" * 65 + "@example.com"]
)
async def test_an_address_that_nobody_can_write_to_is_refused(people: AccountsWorld, address: str) -> None:
    with pytest.raises(EmailIncorrect):
        await people.sign_up_as(address)
    assert people.woken == []


async def test_one_mailbox_is_one_account_with_one_limit(people: AccountsWorld) -> None:
    spellings = ("box@example.com", "Box@ｅxample.com", "box@EXAMPLE.com", "box@ｅｘａｍｐｌｅ.ｃｏｍ")
    accounts = {(await people.sign_up_as(spelling)).account_id for spelling in spellings * 5}
    assert len(accounts) == 1
    with pytest.raises(TooManyRequests):
        await people.sign_up_as("BOX@example.com")


async def test_an_address_exists_once_it_is_confirmed(people: AccountsWorld) -> None:
    status = EmailStatus(email=Email("New@example.com"))
    assert not await people.accounts.email_status(status)
    await people.sign_up_as("new@example.com")
    assert not await people.accounts.email_status(status)
    await people.confirm(await people.mailed_token())
    assert await people.accounts.email_status(status)
