"""Runs lessons with the seeds 0 to 4, one run a seed, and tells which passed: `make seeds LESSONS="01 02"`.

Without arguments all lessons and the capstone. What this commit has done is not run again; files changed since the
commit begin anew. Ends with 1 if a run did not go through.
"""

import sys
import time
from pathlib import Path

from medlab.runs import find_notebook, sweep
from medlab.runs.parameters import lessons_folder, runs_folder
from medlab.runs.recording import provenance
from medlab.runs.tables import markdown_table

SEEDS = list(range(5))


def main(notebooks: list[str]) -> int:
    """Run the notebooks, print the table, and return the exit code."""
    paths = [find_notebook(name) for name in notebooks] or sorted(lessons_folder().glob("*.ipynb"))
    commit = provenance(Path(__file__).parent)["commit"] or "dirty"
    name = "seeds-" + (time.strftime("%Y%m%d-%H%M%S") if commit.endswith("dirty") else commit[:12])
    runs = {path.stem: sweep({"notebook": path, "seeds": SEEDS}, out=runs_folder(path) / name) for path in paths}
    rows = [[lesson, *(run.state for run in results)] for lesson, results in runs.items()]
    print("\n" + markdown_table(["lesson", *(f"seed {seed}" for seed in SEEDS)], rows))
    return int(any(state != "done" for _, *states in rows for state in states))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
