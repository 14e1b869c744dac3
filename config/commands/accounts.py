"""`messenger user`: the operations on accounts."""

from collections.abc import Iterable, Sequence

from application.accounts.assign_password import AssignPassword
from application.accounts.create_account import CreateAccount
from application.accounts.delete_account import DeleteAccount
from application.accounts.disable_account import DisableAccount, EnableAccount
from application.accounts.forget_factor import ForgetFactor
from config.commands.running import database_name, on_application
from config.container import Application
from domain.account import Account, Email, Password
from domain.session import Session
from interfaces.cli.users import Users


def operations() -> Users:
    return Users(
        where=database_name,
        create=create_user,
        all=all_users,
        password=set_password_of_user,
        disable=disable_user,
        enable=enable_user,
        forget_factor=forget_factor_of_user,
        delete=delete_user,
        sessions=sessions_of_user,
    )


def create_user(email: str, password: str) -> str:
    async def work(application: Application) -> str:
        command = CreateAccount(email=Email(email), password=Password(password))
        return str(await application.administration().create_account(command))

    return on_application(work)


def all_users() -> Iterable[Account]:
    async def work(application: Application) -> list[Account]:
        return [account async for account in application.administration().list_accounts()]

    return on_application(work)


def set_password_of_user(email: str, password: str) -> int:
    async def work(application: Application) -> int:
        command = AssignPassword(email=Email(email), password=Password(password))
        return await application.administration().assign_password(command)

    return on_application(work)


def disable_user(email: str) -> int:
    async def work(application: Application) -> int:
        return await application.administration().disable_account(DisableAccount(email=Email(email)))

    return on_application(work)


def enable_user(email: str) -> None:
    async def work(application: Application) -> None:
        await application.administration().enable_account(EnableAccount(email=Email(email)))

    on_application(work)


def forget_factor_of_user(email: str) -> None:
    async def work(application: Application) -> None:
        await application.administration().forget_factor(ForgetFactor(email=Email(email)))

    on_application(work)


def delete_user(email: str) -> int:
    async def work(application: Application) -> int:
        administration = application.administration()
        ended = await administration.delete_account(DeleteAccount(email=Email(email)))
        # A running messenger would do this within a minute. If none is running, their chats need not wait for the next one.
        await administration.clear_closed_accounts()
        return ended

    return on_application(work)


def sessions_of_user(email: str) -> Sequence[Session]:
    async def work(application: Application) -> Sequence[Session]:
        return await application.administration().list_sessions(Email(email))

    return on_application(work)
