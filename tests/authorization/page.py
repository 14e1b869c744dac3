"""The table as docs/authorization.md."""

from collections.abc import Iterator, Sequence
from typing import Final

from tests.architecture.test_tidiness import ROOT
from tests.authorization.callers import Caller
from tests.authorization.rows import (
    BY_LETTER,
    FOR_EVERYBODY,
    FRAMES,
    HTTP,
    IN_CHATS,
    OK,
    OWN,
    PASSKEYS,
    PROVIDERS,
    SECOND,
    WITH_COOKIE,
    FrameRow,
    Request,
)

PAGE: Final = ROOT / "docs" / "authorization.md"

INTRODUCTION: Final = """# Who may do what

This page is written by `python -m tests.authorization --write`, which tries every row as every caller; `make test` does the same
and compares the page. An endpoint or a frame without a row fails the tests. {count} answers in {rows} rows.

The group of the table has an owner, an admin, a member and a former member; a stranger was never in it. Somebody signed out
sends no token. "Ended session" is a token of the owner's whose session was ended. "Another's session" is a token with a valid
signature that names the owner's account and a session of somebody else. The two programs have access tokens that the owner made,
one with all scopes and one with none, which reads.

"ok" is carried out; "ignored" does nothing, and says so to nobody, as in the original messenger. Everything else is refused and leaves all that is stored as it was: over HTTP the status, on sockets the
code of the error. A code in brackets refuses the entry, and the socket closes before the frame is read.
"""

PARTS: Final = (
    ("For everybody", FOR_EVERYBODY),
    ("Through other providers", PROVIDERS),
    ("Passkeys", PASSKEYS),
    ("With a second factor", SECOND),
    ("With the token of a letter", BY_LETTER),
    ("With the refresh cookie", WITH_COOKIE),
    ("For people who are signed in, about themselves", OWN),
    ("In a group", IN_CHATS),
    ("Frames", FRAMES),
)


def written() -> str:
    rows = len(HTTP) + len(FRAMES)
    lines = [INTRODUCTION.format(count=rows * len(Caller), rows=rows)]
    for title, part in PARTS:
        lines += [f"\n## {title}\n", *_table(part)]
    return "\n".join(lines) + "\n"


def _table(rows: "Sequence[Request] | Sequence[FrameRow]") -> Iterator[str]:
    yield f"| request | {' | '.join(Caller)} |"
    yield f"|---|{'---|' * len(Caller)}"
    for row in rows:
        answers = (row.answers[caller] for caller in Caller)
        yield f"| {_name(row)} | {' | '.join(each if each == OK else f'`{each}`' for each in answers)} |"


def _name(row: "Request | FrameRow") -> str:
    if isinstance(row, Request):
        return f"`{row.endpoint}` {row.case}".strip()
    where, _, type_ = row.name.rpartition(" ")
    return f"`{where}` `{type_}`"
