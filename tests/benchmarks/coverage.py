"""How often a nominal 95 % interval holds the truth, for every interval function and the designs it is used in.

    python tests/benchmarks/coverage.py            # all of the table, some minutes
    python tests/benchmarks/coverage.py --trials 400

A cell should read 93 to 97. The exceptions are known: they stand in `EXCEPTIONS`, with what to do instead.
"""

import argparse
import math
import sys
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from coverage_designs import DESIGNS, EXCEPTIONS, covered

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=2000)
    trials = parser.parse_args().trials
    warnings.simplefilter("ignore")
    print(f"{trials} trials a cell: 95 % is measured to within {200 * math.sqrt(0.05 * 0.95 / trials):.1f} points")
    print("| interval | design | covered | no interval | half-width | note |\n| --- | --- | --- | --- | --- | --- |")
    for (function, design), make in DESIGNS.items():
        share, none, half = covered(make, trials, np.random.default_rng(0))
        note = EXCEPTIONS.get((function, design), "")
        print(f"| {function} | {design} | {100 * share:.1f} | {100 * none:.0f} % | {half:.3f} | {note} |", flush=True)
