"""
Seven mutants of the messenger, each with the faults under which the harness must find it.

They show that a harness which finds nothing could have found something.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Final

from attrs import frozen

from tests.checker.picture import Violation
from tests.scratch import scratch_folder
from tests.system.faults.catalogue import BY_NAME
from tests.system.faults.cluster import DATABASE, Bus, Cluster, clustered
from tests.system.faults.record import Trial
from tests.system.faults.registry import registry
from tests.system.faults.round import Round

MUTANTS: Final = Path(__file__).with_name("mutants")

HEALS: Final = 20.0
"""Seconds after which a mutant that does not heal is found out."""

RESTS: Final = 8.0

NO_FLUSH_MEANWHILE: Final = {"wal_writer_delay": "10s", "wal_writer_flush_after": "1GB"}
"""Nothing writes the log but who waits for it."""


def forget_what_is_unlike(cluster: Cluster) -> None:
    """The database does not hold what the messenger forgets."""
    with cluster.postgres.connect(DATABASE) as database:
        (name,) = database.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = 'message'::regclass"
            " AND pg_get_constraintdef(oid) = 'UNIQUE (chat_id, sender_id, nonce)'"
        ).fetchone() or [""]
        database.execute(f'ALTER TABLE message DROP CONSTRAINT "{name}"')


@frozen(kw_only=True)
class Mutant:
    name: str
    title: str
    faults: Sequence[str]
    """By name; in each round of its trial they happen one after the other."""
    rules: frozenset[str]
    """The guarantees that it breaks; one of them must be named."""
    bus: Bus = "nats"
    settings: Mapping[str, str] = MappingProxyType({})
    of_postgres: Mapping[str, str] = MappingProxyType({})
    prepare: Callable[[Cluster], None] = lambda _: None
    """Called when the cluster has started."""
    rounds: int = 6
    """The most rounds of a trial."""


ALL: Final = (
    Mutant(
        name="tells_before_the_commit",
        title="publish before commit",
        faults=("lost commit", "F8", "lost commit"),
        rules=frozenset({"D1", "D3", "D5", "D6", "D13"}),
    ),
    Mutant(
        name="remembers_own_nonces",
        title="nonces in memory only",
        faults=("F2", "F23"),
        rules=frozenset({"D2"}),
        prepare=forget_what_is_unlike,
    ),
    Mutant(
        name="waits_for_no_disk",
        title="synchronous_commit=off",
        faults=("F8", "F8"),
        rules=frozenset({"D1", "D3", "D5", "D6", "D13"}),
        of_postgres=NO_FLUSH_MEANWHILE,
    ),
    Mutant(name="caches_members", title="cached membership", faults=("F22",), rules=frozenset({"D11"})),
    Mutant(
        name="subscribes_late",
        title="subscribe after history",
        faults=("F23", "F22"),
        rules=frozenset({"D6", "D13", "D14"}),
    ),
    Mutant(
        name="drops_what_overflows",
        title="drop on overflow",
        faults=("F17", "F17"),
        rules=frozenset({"D6", "D13", "D12"}),
        settings={"WS_OUTBOX_FRAMES": "16", "WS_GAP_PERCENT": "100"},
    ),
    Mutant(
        name="trusts_a_sequence",
        title="sequence as cursor",
        faults=("slow and deaf", "slow and deaf"),
        rules=frozenset({"D12", "D13"}),
    ),
)


def table(trials: Sequence[Trial]) -> Iterator[str]:
    """The last trial of each mutant that was tried."""
    last = {trial.mutant: trial for trial in trials}
    yield "| mutant of the messenger | bus | faults of a round | found in round | by |"
    yield "|---|---|---|---|---|"
    for mutant in ALL:
        if (trial := last.get(mutant.name)) is not None:
            found = f"{trial.rounds} | {trial.found}" if trial.found else f"none of {trial.rounds} | nothing"
            yield f"| {mutant.title} | {mutant.bus} | {', '.join(mutant.faults)} | {found} |"


async def try_mutant(mutant: Mutant, seed: int) -> tuple[int, Violation | None]:
    """Plays rounds until one finds it. Returns how many it took, and what was found; None if nothing was."""
    settings = {"PYTHONPATH": str(MUTANTS / mutant.name), **mutant.settings}
    with scratch_folder("messenger-mutant-") as folder:
        async with (
            clustered(
                folder, mutant.bus, Random(seed), settings=settings, of_postgres=mutant.of_postgres
            ) as cluster,
            registry(cluster) as people,
        ):
            mutant.prepare(cluster)
            faults = [BY_NAME[name] for name in mutant.faults]
            for number in range(mutant.rounds):
                played = Round(cluster, people, seed + number, faults, heals=HEALS, rests=RESTS)
                outcome = await played.run()
                for violation in outcome.violations:
                    if violation.rule in mutant.rules:
                        return number + 1, violation
    return mutant.rounds, None
