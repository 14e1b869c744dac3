"""
Tries the table of authorization and prints it: ``python -m tests.authorization``, with ``--write`` into
docs/authorization.md. With ``--only TEXT`` it tries the rows whose names contain the text; the page has them all. It exits
with 1 if an answer is not the one in the table.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from tests.authorization.page import PAGE, written
from tests.authorization.rows import FRAMES, HTTP
from tests.authorization.trying import Row, Tried, trials


async def _tried(texts: Sequence[str]) -> list[Tried]:
    table: Sequence[Row] = (*HTTP, *FRAMES)
    chosen = [row for row in table if not texts or any(text in row.name for text in texts)]
    async with trials() as house:
        return await house.all(chosen)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.authorization", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/authorization.md")
    parser.add_argument(
        "--only", metavar="TEXT", action="append", default=[], help="try only rows whose names contain this"
    )
    arguments = parser.parse_args()
    tried = asyncio.run(_tried(arguments.only))
    if not tried:
        parser.error("no row has such a name")
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
