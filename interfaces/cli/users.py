import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import typer
from attrs import frozen

from domain.account import Account
from domain.session import Session
from interfaces.cli.looks import confirm, say, show, told

Email = Annotated[str, typer.Argument(help="The e-mail address of the account.", show_default=False)]


@frozen(kw_only=True)
class Users:
    """The operations on accounts. Each raises `CommandRefused` if it cannot be done."""

    where: Callable[[], str]
    """Names the database and the environment, without a password."""
    create: Callable[[str, str], str]
    """Takes an e-mail address and a password, and returns the account's id."""
    all: Callable[[], Iterable[Account]]
    disable: Callable[[str], int]
    """Takes an e-mail address and returns how many sessions ended."""
    enable: Callable[[str], None]
    sessions: Callable[[str], Sequence[Session]]


def user_commands(users: Users) -> typer.Typer:
    line = typer.Typer(no_args_is_help=True, help="Create, list, disable and enable accounts.")

    @line.command()
    def create(
        email: Email,
        *,
        password_stdin: Annotated[
            bool, typer.Option("--password-stdin", help="Read the password from standard input.")
        ] = False,
    ) -> None:
        """Create a confirmed account. Asks for the password: other users of the machine can read command lines."""
        with told():
            if password_stdin:
                password = sys.stdin.readline().rstrip("\n")
            else:
                password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
            say(f"{email} is created in {users.where()}: account {users.create(email, password)}.", "green")

    @line.command("list")
    def list_() -> None:
        """List all accounts by e-mail address."""
        with told():
            rows = [
                (each.email.text, _state(each), f"{each.created_at:%Y-%m-%d}", each.id)
                for each in users.all()
            ]
            show(("e-mail", "state", "since", "account"), rows, title=users.where())

    @line.command()
    def disable(
        email: Email, *, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
    ) -> None:
        """Disable an account: its sessions end, and it cannot sign in. Its messages stay."""
        with told():
            confirm(f"Sign {email} out everywhere and disable the account in {users.where()}?", yes=yes)
            say(f"{email} is disabled in {users.where()}; {users.disable(email)} sessions ended.", "green")

    @line.command()
    def enable(email: Email) -> None:
        """Enable a disabled account."""
        with told():
            users.enable(email)
            say(f"{email} may sign in to {users.where()}.", "green")

    @line.command()
    def sessions(email: Email) -> None:
        """List the sessions of an account."""
        with told():
            show(
                ("session", "fingerprint", "since", "last used", "address", "program"),
                [
                    (
                        each.id,
                        each.fingerprint.text,
                        f"{each.created_at:%Y-%m-%d %H:%M}",
                        f"{each.last_used_at:%Y-%m-%d %H:%M}",
                        each.origin.address,
                        each.origin.user_agent,
                    )
                    for each in users.sessions(email)
                ],
                title=users.where(),
            )

    return line


def _state(account: Account) -> str:
    if account.disabled_at is not None:
        return "disabled"
    return "confirmed" if account.is_confirmed else "unconfirmed"
