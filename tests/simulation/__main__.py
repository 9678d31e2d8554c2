"""Replay one seed and tell what happens: `make sim SEED=n`. Exits 1 when the auditor finds something."""

import sys

from tests.simulation.run import run_seed


def main() -> int:
    """Tell the story of the seed that the command line names."""
    if len(sys.argv) != 2 or not sys.argv[1].isdecimal():
        print("Say which seed: make sim SEED=1", file=sys.stderr)
        return 2
    outcome = run_seed(int(sys.argv[1]), say=print)
    print(f"seed {outcome.seed}: {outcome.events} events, {outcome.pours} pours")
    for finding in outcome.findings:
        print(f"FOUND {finding}")
    return 1 if outcome.findings else 0


if __name__ == "__main__":
    sys.exit(main())
