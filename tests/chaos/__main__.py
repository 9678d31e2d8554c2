"""`make chaos MINUTES=n [SEED=n] [TAPS=n]`: a bar under fire, told as it happens. Exits 1 when the auditor finds something.

`CLUSTER=1`: a bar without a single machine, of which any member is killed, frozen and cut off.
"""

import asyncio
import sys
from typing import Final

from tapwire_core.commands.progress_line import progress_line
from tapwire_demo.arguments import MakeParser, minutes_above_zero
from tests.besides import besides
from tests.chaos.cluster import IMPATIENT_S, Loss, Trial
from tests.chaos.cluster_site import open_cluster, why_not
from tests.chaos.machines import may_cut
from tests.chaos.monkey import Monkey
from tests.chaos.programs import tell_the_time
from tests.chaos.run import RECOVERY_S, Outcome, run_chaos
from tests.chaos.site import open_site

S_PER_MINUTE: Final = 60
MIB: Final = 1024 * 1024
PATIENCE_S: Final = 120.0


async def chaos(seed: int, minutes: float, taps: int) -> int:
    """Run it and print the account."""
    place = f"A bar with {taps} taps, one more whose node lies about time, two core workers and operators"
    print(f"{place}; {minutes:g} minutes of faults from seed {seed}.")
    with progress_line() as advance:

        async def rage(monkey: Monkey) -> None:
            async with besides(tell_the_time(advance, "faults", minutes * S_PER_MINUTE)):
                await monkey.rage(minutes * S_PER_MINUTE)
            advance("until all is at rest", 0, 0)

        advance("opening the bar", 0, 0)
        async with open_site(taps, strangers=1) as site:
            outcome = await run_chaos(site, seed, rage, PATIENCE_S, lambda line: print(line, flush=True))
    slow = [f"{tap} poured again only after {s:.1f} s" for tap, s in outcome.recovered_s.items() if s > RECOVERY_S]
    for line in account(outcome):
        print(line)
    for finding in (*outcome.findings, *slow):
        print(f"FOUND {finding}")
    print("The auditor found nothing." if not outcome.findings and not slow else f"seed {seed}: look at the findings.")
    return 1 if outcome.findings or slow else 0


async def cluster_chaos(seed: int, taps: int) -> int:
    """Lose each member of a cluster in each way, and print the account."""
    if reason := why_not() or ("" if may_cut() else "machines are cut off by iptables, whose rules this user may not set"):
        print(f"CLUSTER=1 can't run here: {reason}")
        return 1
    place = "three RabbitMQ, three database members with etcd, three core workers, two admin APIs behind HAProxy"
    print(f"A bar with {taps} taps, {place}.")
    async with open_cluster(taps) as cluster:
        losses: list[Loss] = []

        async def lose_all(monkey: Monkey) -> None:
            trial = Trial(cluster, monkey, lambda line: print(line, flush=True), losses)
            await trial.all()
            await trial.settle()

        outcome = await run_chaos(cluster.site, seed, lose_all, PATIENCE_S, lambda line: print(line, flush=True), IMPATIENT_S)
    for line in account(outcome):
        print(line)
    missed = [f"{loss.what}: {loss.dry_s:.1f} s without a pour, goal {loss.goal_s:.0f} s" for loss in losses if not loss.is_met]
    for finding in (*outcome.findings, *missed):
        print(f"FOUND {finding}")
    print(f"longest without a pour: {max(loss.dry_s for loss in losses):.1f} s")
    print("The auditor found nothing." if not outcome.findings else f"seed {seed}: look at the findings.")
    return 1 if outcome.findings or missed else 0


def account(outcome: Outcome) -> list[str]:
    """Summary of a run."""
    pours, books = outcome.pours, outcome.books
    stock: dict[str, int] = {}
    for (_, kind), ml in books.stock_ml.items():
        stock[kind] = stock.get(kind, 0) + ml
    waits = sorted(outcome.recovered_s.values()) or [0.0]
    return [
        "",
        f"faults     {len(outcome.faults)}",
        f"pours      {sum(pours.values())}: " + ", ".join(f"{count} {state}" for state, count in sorted(pours.items())),
        f"people     {outcome.top_ups} top-ups, {outcome.ended_by_hand} pours ended by hand",
        f"flowed     {outcome.flowed_ml} ml, of that {outcome.lost_ml} ml while a killed node could not count",
        "booked     " + ", ".join(f"{ml} ml {kind}" for kind, ml in sorted(stock.items())),
        f"incidents  {len(books.incidents)}: " + ", ".join(sorted({incident["kind"] for incident in books.incidents})),
        f"recovery   first good pour after the last fault: median {waits[len(waits) // 2]:.1f} s, longest {waits[-1]:.1f} s",
        f"machine    a program that wanted to run waited {outcome.worst_stall_s * 1_000:.0f} ms at worst",
        "memory     "
        + ", ".join(f"{name} {used.resident_bytes // MIB} MiB" for name, used in outcome.memory.items() if "tap-" not in name),
    ]


def main() -> int:
    """Read the command line."""
    parser = MakeParser(prog="make chaos", description="Break a whole bar, and let an auditor judge it.")
    parser.add_argument("--minutes", type=minutes_above_zero, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--taps", type=int, default=16)
    parser.add_argument("--cluster", action="store_true")
    arguments = parser.parse_args()
    if arguments.cluster:
        return asyncio.run(cluster_chaos(arguments.seed, arguments.taps))
    return asyncio.run(chaos(arguments.seed, arguments.minutes, arguments.taps))


if __name__ == "__main__":
    sys.exit(main())
