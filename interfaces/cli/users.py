import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import typer
from attrs import frozen

from domain.account import Account
from domain.session import Session
from interfaces.cli.looks import confirm, say, show, told

Email = Annotated[str, typer.Argument(help="The e-mail address of the account.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, and ask nothing.")
]


@frozen(kw_only=True)
class Users:
    """The operations on accounts. Each raises `CommandRefused` if it cannot be done."""

    where: Callable[[], str]
    """Names the database and the environment, without a password."""
    create: Callable[[str, str], str]
    """Takes an e-mail address and a password, and returns the account's id."""
    all: Callable[[], Iterable[Account]]
    password: Callable[[str, str], int]
    """Takes an e-mail address and a new password, and returns how many sessions ended."""
    disable: Callable[[str], int]
    """Takes an e-mail address and returns how many sessions ended."""
    enable: Callable[[str], None]
    forget_factor: Callable[[str], None]
    delete: Callable[[str], int]
    """Takes an e-mail address and returns how many sessions ended."""
    sessions: Callable[[str], Sequence[Session]]


def user_commands(users: Callable[[], Users]) -> typer.Typer:
    line = typer.Typer(no_args_is_help=True, help="Create, list, change and delete accounts.")

    @line.command()
    def create(
        email: Email,
        *,
        password_stdin: FromStdin = False,
    ) -> None:
        """Create a confirmed account. Asks for the password: other users of the machine can read command lines."""
        with told():
            made = users().create(email, _new_password(password_stdin=password_stdin))
            say(f"{email} is created in {users().where()}: account {made}.", "green")

    @line.command()
    def password(email: Email, *, password_stdin: FromStdin = False, yes: Yes = False) -> None:
        """
        Set the password of an account. All its sessions end, and the owner is told by mail. An unconfirmed account becomes
        confirmed.
        """
        with told():
            question = f"Sign {email} out everywhere and set a new password in {users().where()}?"
            confirm(question, yes=yes or password_stdin)
            ended = users().password(email, _new_password(password_stdin=password_stdin))
            say(f"{email} has a new password in {users().where()}; {ended} sessions ended.", "green")

    @line.command("list")
    def list_() -> None:
        """List all accounts by e-mail address."""
        with told():
            rows = [
                (each.email.text, _state(each), f"{each.created_at:%Y-%m-%d}", each.id)
                for each in users().all()
            ]
            show(("e-mail", "state", "since", "account"), rows, title=users().where())

    @line.command()
    def disable(email: Email, *, yes: Yes = False) -> None:
        """Disable an account: its sessions end, and it cannot sign in. Its messages stay."""
        with told():
            confirm(f"Sign {email} out everywhere and disable the account in {users().where()}?", yes=yes)
            say(
                f"{email} is disabled in {users().where()}; {users().disable(email)} sessions ended.", "green"
            )

    @line.command()
    def enable(email: Email) -> None:
        """Enable a disabled account."""
        with told():
            users().enable(email)
            say(f"{email} may sign in to {users().where()}.", "green")

    @line.command("forget-factor")
    def forget_factor(email: Email, *, yes: Yes = False) -> None:
        """
        Remove the second factor of an account whose owner has lost the phone and the recovery codes. The password alone
        signs in then, so make sure who asks.
        """
        with told():
            confirm(f"Let {email} sign in to {users().where()} by the password alone?", yes=yes)
            users().forget_factor(email)
            say(f"{email} has no second factor in {users().where()}.", "green")

    @line.command()
    def delete(email: Email, *, yes: Yes = False) -> None:
        """
        Delete an account for good: its sessions end, it leaves its chats, and its address and username become free. Its
        messages stay, without a name.
        """
        with told():
            confirm(f"Delete the account {email} in {users().where()} for good?", yes=yes)
            ended = users().delete(email)
            say(f"{email} is deleted from {users().where()}; {ended} sessions ended.", "green")

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
                    for each in users().sessions(email)
                ],
                title=users().where(),
            )

    return line


def _new_password(*, password_stdin: bool) -> str:
    if password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    entered: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return entered


def _state(account: Account) -> str:
    if account.disabled_at is not None:
        return "disabled"
    return "confirmed" if account.is_confirmed else "unconfirmed"
