"""
Passwords that are refused because attackers try them first, in lower case and long enough to be chosen.

``leaked_passwords.txt`` has those that were found most often in leaks, so many that three thousand are left of them whatever
`PasswordPattern` asks for (OWASP ASVS 5.0, 6.2.4). ``common_passwords.txt`` has what people make of rows of keys and
words, in English and in Russian, with the endings that rules about characters make them add.
"""

from functools import cache
from pathlib import Path
from typing import Final

LISTS: Final = tuple(
    Path(__file__).with_name(name) for name in ("common_passwords.txt", "leaked_passwords.txt")
)


@cache
def common_passwords() -> frozenset[str]:
    lines = [line for path in LISTS for line in path.read_text(encoding="utf-8").splitlines()]
    return frozenset(line for line in lines if line not in {"", "#"} and not line.startswith("# "))
