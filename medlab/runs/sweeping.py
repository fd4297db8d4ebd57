"""Sweeps: one notebook run for every combination of parameters, several runs at a time, on Dask."""

import hashlib
import itertools
import json
import logging
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from medlab.errors import unknown_name_error
from medlab.runs.executing import run
from medlab.runs.parameters import check_parameters, find_notebook, read_yaml, run_facts, runs_folder
from medlab.runs.state import STATUS, RunResult, fail_run, prepare_folder, read_run

KEYS = ("notebook", "parameters", "grid", "seeds")
MEMORY_PER_RUN = 2 * 2**30  # bytes


def sweep(
    plan: str | Path | dict,
    scheduler: str | None = None,
    out: str | Path | None = None,
    workers: int | None = None,
) -> list[RunResult]:
    """Execute a notebook for every combination of a grid of parameters and seeds.

    The plan is a dict or the path of a YAML file::

        notebook: "01"
        parameters: {epochs: 6}      # the same in every run
        grid: {patients: [10, 20]}   # every combination of these
        seeds: [0, 1, 2]             # short for a grid over the parameter `seed`

    A run's folder is named after its code and parameters, so a second call skips runs that are done and repeats those
    that failed or were killed; a change in the notebook's code (not in its text, nor in the library) makes new runs. A
    failed run, or a worker that dies, leaves the other runs alone.

    Kernels started by Dask's workers compute with one thread (`OMP_NUM_THREADS=1`). In a script, call this under
    `if __name__ == "__main__":`, since the worker processes import the script.

    Args:
        plan: what to run.
        scheduler: address of a running Dask scheduler (`tcp://host:8786`) whose workers have medlab and see the same
            folders; by default worker processes on this computer, reachable from it alone.
        out: folder for the runs' folders; by default `runs/<notebook>/<name of the YAML file, or "sweep">`.
        workers: worker processes on this computer; by default one per core, at most one per 2 GB of memory.

    Returns:
        The runs in the order of the grid, the last name varying fastest.

    Raises:
        FileNotFoundError: the YAML file or the notebook is not there.
        ValueError: the plan is not as above, or names a parameter that the notebook does not have.
    """
    if workers is not None and (workers < 1 or scheduler):
        raise ValueError("workers must be at least 1, and is only for workers on this computer (no scheduler).")
    path, combinations, name = read_plan(plan)
    root = Path(out).resolve() if out is not None else runs_folder(path) / name
    chosen = {root / _fingerprint(path, combination): combination for combination in combinations}
    if len(chosen) < len(combinations):
        raise ValueError("the grid holds the same combination of parameters twice.")
    todo = [each for each in chosen if not (each / STATUS).exists() or read_run(each).state in ("failed", "killed")]
    for folder in todo:
        prepare_folder(folder)
    if todo:
        _run_all(path, {folder: chosen[folder] for folder in todo}, scheduler, workers)
    results = [read_run(folder) for folder in chosen]
    _summarize(results, len(chosen) - len(todo), root)
    return results


def read_plan(plan: str | Path | dict) -> tuple[Path, list[dict], str]:
    """Return the notebook, the checked parameters of each run, and a name for the sweep; errors as of `sweep`."""
    from yaml import YAMLError

    name, what = "sweep", "the plan"
    if not isinstance(plan, dict):
        name, what = Path(plan).stem, str(plan)
        try:
            plan = read_yaml(Path(plan).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise FileNotFoundError(f"sweep file {what} is not there (looked from {Path.cwd()}).") from None
        except (YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{what} is not valid YAML: {error}") from None
    if not isinstance(plan, dict):
        raise ValueError(f"{what} must hold the names {', '.join(KEYS)}; got {plan!r}.")
    for key in plan:
        if key not in KEYS:
            raise unknown_name_error(f"name in {what}", key, KEYS)
    if "notebook" not in plan:
        raise ValueError(f'{what} does not say which notebook to run, such as `notebook: "01"`.')
    fixed, grid = plan.get("parameters") or {}, plan.get("grid") or {}
    for key, value in (("parameters", fixed), ("grid", grid)):
        if not isinstance(value, dict):
            raise ValueError(f"{what}: {key} must be names and values, such as {{epochs: 6}}; got {value!r}.")
    if "seeds" in plan:
        if "seed" in grid:
            raise ValueError(f"{what} gives the seeds twice: as `seeds` and as `seed` in the grid.")
        grid = grid | {"seed": plan["seeds"]}
    if not grid:
        raise ValueError(f"{what} varies nothing: give a grid such as {{patients: [10, 20]}}, or seeds: [0, 1, 2].")
    for key, values in grid.items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"{what}: the values of {key!r} must be a list with at least one value; got {values!r}.")
        if key in fixed:
            raise ValueError(f"{what} gives {key!r} twice: as a fixed parameter and in the grid.")
    path = find_notebook(plan["notebook"])
    product = itertools.product(*grid.values())
    return path, [check_parameters(path, fixed | dict(zip(grid, values))) for values in product], name


def _fingerprint(path: Path, chosen: dict) -> str:
    facts = run_facts(path, chosen)
    return hashlib.sha256(json.dumps([facts["code"], facts["parameters"]], sort_keys=True).encode()).hexdigest()[:12]


def _run_all(path: Path, todo: dict[Path, dict], scheduler: str | None, workers: int | None) -> None:
    import dask
    from dask.system import CPU_COUNT
    from distributed import Client, LocalCluster, as_completed
    from distributed.system import MEMORY_LIMIT
    from tqdm.auto import tqdm

    with ExitStack() as stack:
        if scheduler is None:
            # When a worker dies Dask blames every run it had been sent, not only the one in progress, so runs may
            # come back; `_task` sees to it that none is executed twice.
            stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": len(todo)}))
            scheduler = stack.enter_context(
                LocalCluster(
                    n_workers=min(len(todo), workers or max(1, min(CPU_COUNT, MEMORY_LIMIT // MEMORY_PER_RUN))),
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                )
            )
        client = stack.enter_context(Client(scheduler))
        futures = {
            client.submit(_task, str(path), parameters, str(folder), pure=False): folder
            for folder, parameters in todo.items()
        }
        states: Counter[str] = Counter()
        progress = stack.enter_context(tqdm(total=len(todo), desc=f"sweep {path.stem}", unit="run"))
        for future in as_completed(futures):
            folder = futures[future]
            if error := future.exception():  # the worker died, or could not even start the run
                facts = read_run(folder).details if (folder / STATUS).exists() else {"parameters": todo[folder]}
                fail_run(folder, facts, error)
            states[read_run(folder).state] += 1
            progress.set_postfix(states, refresh=False)
            progress.update()


def _task(path: str, parameters: dict, folder: str) -> None:
    if (Path(folder) / STATUS).exists():  # the sweep cleared this folder, so a worker began this run and died
        raise RuntimeError("the worker of this run died (out of memory, or killed)")
    run(path, parameters, out=folder, progress=False)


def _summarize(results: list[RunResult], before: int, root: Path) -> None:
    counts = ", ".join(f"{count} {state}" for state, count in Counter(result.state for result in results).items())
    print(f"sweep: {len(results)} runs: {counts} ({before} of them not run again) in {root}")
    for result in results:
        if not result.ok:
            print(f"{result.parameters}: {result}")
