"""`python -m tests.mutants [WORD ...]`: break the package on purpose; every break must be noticed.

With words only the mutants are run in whose name or rule one of them occurs. Exit code 1 if a
mutant is missed by one of its tests, its text is no longer found exactly once, or its tests fail
without it.
"""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.mutants.running import Verdict, failures_without_mutation, judge
from tests.mutants.table import MUTANTS, Mutant

_AT_ONCE = 2


def main(words: Sequence[str]) -> int:
    """Judge the mutants and print a line for each."""
    chosen = [mutant for mutant in MUTANTS if not words or _is_named(mutant, words)]
    if failed := failures_without_mutation(chosen):
        print(f"{failed}\nTests fail without any mutation: they prove nothing.")
        return 1
    caught = 0
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for mutant, (verdict, why) in zip(chosen, pool.map(judge, chosen), strict=True):
            told = f"{verdict.value:7} {mutant.name} [{mutant.breaks}]"
            print(f"{told}: {why}" if why else told, flush=True)
            caught += verdict is Verdict.CAUGHT
    print(f"caught {caught} / {len(chosen)}")
    return 0 if caught == len(chosen) else 1


def _is_named(mutant: Mutant, words: Sequence[str]) -> bool:
    return any(word in f"{mutant.name} {mutant.breaks}" for word in words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
