from pathlib import Path
from typing import Final

LIST: Final = Path(__file__).with_name("common_passwords.txt")


def common_passwords() -> frozenset[str]:
    """
    The passwords that attackers try first, in lower case, as far as they are long enough to be chosen. The list is short by
    design: rate limits stop an attacker who tries more than a few.
    """
    lines = LIST.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("# "))
