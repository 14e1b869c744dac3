import pytest

from application.accounts.email_status import EmailStatus
from domain.account import Email, EmailTaken
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
    assert len(people.woken) == 1, "nobody is told of a letter that is not there"


async def test_an_address_exists_once_it_is_confirmed(people: AccountsWorld) -> None:
    status = EmailStatus(email=Email("New@example.com"))
    assert not await people.accounts.email_status(status)
    await people.sign_up_as("new@example.com")
    assert not await people.accounts.email_status(status)
    await people.confirm(await people.mailed_token())
    assert await people.accounts.email_status(status)
