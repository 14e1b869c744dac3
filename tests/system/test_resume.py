"""
Returning clients go on where they were, after any fault: one short run of `tests.system.resume`, which does as many and as
long ones as one likes, and two mutants that the same run finds out. A third, `skips_one`, is found in `tests.exploring`.

The messenger tells a returning client 300 updates at most, so that three thousand messages have as many clients who missed
more, some pages or nothing as ten thousand with the limit that it has otherwise.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.system.postgres import DATABASE, Postgres
from tests.system.resume import OUTAGES, Outage, Run
from tests.system.server import Server
from tests.system.talker import REPLAY_PAGE

MakeServer = Callable[..., Server]
MakePostgres = Callable[..., Postgres]

MUTANTS = Path(__file__).with_name("mutants")
SMALLER = Path(__file__).with_name("smaller") / "replays"
REPLAYED = 300
"""The most entries that a messenger sends to a client that resumes, if `SMALLER` is on its path."""


def begin(
    make_server: MakeServer,
    postgres: Postgres,
    *,
    sends: int,
    outages: Sequence[Outage],
    mutants: Sequence[Path] = (),
) -> Run:
    path = os.pathsep.join(map(str, (SMALLER, *mutants)))
    server = make_server(settings={"DATABASE_URL": postgres.url(DATABASE), "PYTHONPATH": path})
    server.start()
    return Run(1, server, postgres, DATABASE, sends, outages, REPLAYED)


async def test_three_thousand_sends_with_kills_and_disconnects(
    make_server: MakeServer, make_postgres: MakePostgres
) -> None:
    outcome = await begin(make_server, make_postgres(lived_in=True), sends=3_000, outages=OUTAGES).run()
    assert outcome.faults == []
    assert len(outcome.taken) == len(OUTAGES) - 1
    assert min(outcome.taken) > 0, outcome.taken
    assert max(outcome.replays) > REPLAY_PAGE
    assert outcome.resets.keys() == {"too_far"}


def forget_what_is_unlike(postgres: Postgres, database: str) -> None:
    """The database does not hold what the messenger forgets."""
    with postgres.connect(database) as connection:
        (name,) = connection.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = 'message'::regclass"
            " AND pg_get_constraintdef(oid) = 'UNIQUE (chat_id, sender_id, nonce)'"
        ).fetchone() or [""]
        connection.execute(f'ALTER TABLE message DROP CONSTRAINT "{name}"')


TRIALS = 6
"""The most runs in which a mutant is looked for. Nearly every run finds it."""


@pytest.mark.parametrize(
    ("mutant", "rule"),
    [("tells_one_page", "D13"), ("forgets_nonces", "D2")],
)
async def test_a_mutant_is_found_out(
    mutant: str, rule: str, make_server: MakeServer, make_postgres: MakePostgres
) -> None:
    """A single run may miss the mutant: how the machine shares its time decides how much a client misses, and which answers are lost with a kill."""
    found: set[str] = set()
    for _ in range(TRIALS):
        postgres = make_postgres(lived_in=True)
        outages: list[Outage] = [("server",)]
        run = begin(make_server, postgres, sends=1_000, outages=outages, mutants=[MUTANTS / mutant])
        if mutant == "forgets_nonces":
            forget_what_is_unlike(postgres, run.database)
        outcome = await run.run()
        found |= {fault.split()[0] for fault in outcome.faults}
        if rule in found:
            return
    raise AssertionError(found)
