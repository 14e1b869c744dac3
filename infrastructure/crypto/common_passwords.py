from pathlib import Path
from typing import Final

LIST: Final = Path(__file__).with_name("common_passwords.txt")


def common_passwords() -> frozenset[str]:
    """
    What everybody tries first, in lower case. Only those that are long enough to be chosen at all are listed; a short
    list by design, for limits stop whoever tries more than a few.
    """
    lines = LIST.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("# "))
