"""
Tries the table of authorization and prints it: ``python -m tests.authorization``, with ``--write`` into
docs/authorization.md. It exits with 1 if an answer is not the one in the table.
"""

import argparse
import asyncio
import sys

from tests.authorization.page import PAGE, written
from tests.authorization.trying import Tried, trials


async def _tried() -> list[Tried]:
    async with trials() as house:
        return await house.all()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.authorization", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/authorization.md")
    arguments = parser.parse_args()
    tried = asyncio.run(_tried())
    faults = [fault for each in tried for fault in each.faults()]
    page = written()
    if arguments.write:
        PAGE.write_text(page)
    print(page)
    print(f"{len(tried)} answers tried, {len(faults)} not as the table says")
    print(*faults, sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
