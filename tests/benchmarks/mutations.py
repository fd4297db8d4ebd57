"""How many mutants of the solutions do the checks reject? `python tests/benchmarks/mutations.py [00 01 ...]`.

Prints the score of every exercise and the mutants that passed. Those that cannot be rejected, because they compute the
same, are in tests/classroom/mutants.toml with the reason; a test holds that there are no others.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
os.environ["MEDLAB_STRICT"] = "0"

from mutants import mutants, passes, solutions
from project import LESSONS

if __name__ == "__main__":
    killed = total = 0
    for lesson in LESSONS:
        if sys.argv[1:] and lesson.stem[:2] not in sys.argv[1:]:
            continue
        for name, functions, tree, names in solutions(lesson):
            changed = list(mutants(tree))
            survivors = [text for text, mutant in changed if passes(name, functions, mutant, names)]
            killed, total = killed + len(changed) - len(survivors), total + len(changed)
            print(f"{name}: {len(changed) - len(survivors)} of {len(changed)} rejected", flush=True)
            for text in survivors:
                print(f"    {text}", flush=True)
    print(f"all: {killed} of {total}")
