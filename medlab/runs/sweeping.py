"""Sweeps: one notebook run for every combination of parameters, several runs at a time.

On this computer each run has a process of its own, told by a pipe what to do: no socket is open that another user of
the computer could send code to. On several computers a Dask cluster runs them, over connections with certificates.
"""

import hashlib
import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from threading import Thread

from medlab.errors import unknown_name_error, whole_number
from medlab.runs.executing import run
from medlab.runs.parameters import check_parameters, find_notebook, read_yaml, run_facts, runs_folder
from medlab.runs.state import STATUS, RunResult, check_folder, clear_folder, fail_run, read_run
from medlab.storage import is_held, only_writer

KEYS = ("notebook", "parameters", "grid", "seeds")
MEMORY_PER_RUN = 2 * 2**30  # bytes
CELL_SECONDS = 12 * 3600  # the longest recorded run takes one hour
ONE_THREAD = {  # of a kernel; others run beside it
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def sweep(
    plan: str | Path | dict,
    scheduler: str | None = None,
    out: str | Path | None = None,
    workers: int | None = None,
    timeout: int | None = CELL_SECONDS,
) -> list[RunResult]:
    """Execute a notebook for every combination of a grid of parameters and seeds.

    The plan is a dict or the path of a YAML file::

        notebook: "01"
        parameters: {epochs: 6}      # the same in every run
        grid: {patients: [10, 20]}   # every combination of these
        seeds: [0, 1, 2]             # short for a grid over the parameter `seed`

    A run's folder is named after its code and parameters, so a second call skips runs that are done and repeats those
    that failed or were killed; a change in the notebook's code (not in its text, nor in the library) makes new runs. A
    failed run, or a worker that dies, leaves the other runs alone. Kernels compute with one thread, unless
    `OMP_NUM_THREADS` is set.

    Args:
        plan: what to run.
        scheduler: address of a running Dask scheduler with certificates (`tls://host:8786`) whose workers have medlab
            and see the same folders; by default worker processes on this computer.
        out: folder for the runs' folders; by default `runs/<notebook>/<name of the YAML file, or "sweep">`.
        workers: worker processes on this computer; by default one per core, at most one per 2 GB of memory.
        timeout: seconds that a single cell may take before its run fails; None: no limit.

    Returns:
        The runs in the order of the grid, the last name varying fastest.

    Raises:
        FileNotFoundError: the YAML file or the notebook is not there.
        ValueError: the plan is not as above, or names a parameter that the notebook does not have; a scheduler that
            anybody can send code to.
        BlockingIOError: another sweep fills the same folder.
    """
    if workers is not None and (workers < 1 or scheduler):
        raise ValueError(
            f"workers must be at least 1, and is only for workers on this computer (no scheduler), got {workers}"
        )
    if timeout is not None:
        whole_number("timeout", timeout, 1)
    if scheduler is not None and not scheduler.startswith(("tls://", "inproc://")):
        raise ValueError(
            f"scheduler {scheduler!r} takes code from anybody who reaches it; start it with certificates and give "
            "tls://HOST:PORT (the instructor's guide says how)"
        )
    path, combinations, name = read_plan(plan)
    root = Path(out).resolve() if out is not None else runs_folder(path) / name
    chosen = {root / _fingerprint(path, combination): combination for combination in combinations}
    if len(chosen) < len(combinations):
        raise ValueError("the grid holds the same combination of parameters twice.")
    with only_writer(root / "sweep"):
        todo = [each for each in chosen if not (each / STATUS).exists() or read_run(each).state in ("failed", "killed")]
        for folder in todo:
            check_folder(folder)
            clear_folder(folder)
        if todo:
            _run_all(path, {folder: chosen[folder] for folder in todo}, scheduler, workers, timeout)
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
        except IsADirectoryError:
            raise ValueError(f"sweep file {what} is a folder; give a file such as plan.yaml") from None
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


def _run_all(
    path: Path, todo: dict[Path, dict], scheduler: str | None, workers: int | None, timeout: int | None
) -> None:
    from tqdm.auto import tqdm

    states: Counter[str] = Counter()
    plans = [{"notebook": str(path), "parameters": todo[each], "out": str(each), "timeout": timeout} for each in todo]
    with (
        tqdm(total=len(todo), desc=f"sweep {path.stem}", unit="run") as progress,
        _here(plans, workers) if scheduler is None else _on_cluster(plans, scheduler) as ended,
    ):
        for out, error in ended:
            folder = Path(out)
            if error is not None and not is_held(folder / STATUS):  # the worker died, or could not even start the run
                facts = read_run(folder).details if (folder / STATUS).exists() else {"parameters": todo[folder]}
                folder.mkdir(parents=True, exist_ok=True)
                fail_run(folder, facts, error)
            states[read_run(folder).state] += 1
            progress.set_postfix(states, refresh=False)
            progress.update()


@contextmanager
def _here(plans: list[dict], workers: int | None) -> Iterator[Iterator[tuple[str, BaseException | None]]]:
    """The runs in processes on this computer, as they end: the folder of each, and the error of one that died."""
    from dask.system import CPU_COUNT
    from distributed.system import MEMORY_LIMIT

    children: set[subprocess.Popen] = set()
    pool = ThreadPoolExecutor(min(len(plans), workers or max(1, min(CPU_COUNT, MEMORY_LIMIT // MEMORY_PER_RUN))))
    futures = {pool.submit(_run_apart, plan, children): plan["out"] for plan in plans}
    try:
        yield ((futures[future], future.exception()) for future in as_completed(futures))
    finally:  # after Ctrl-C
        pool.shutdown(wait=False, cancel_futures=True)
        for child in list(children):
            with suppress(OSError):
                child.stdin.close()  # type: ignore[union-attr]
        pool.shutdown()


def _run_apart(plan: dict, children: set[subprocess.Popen]) -> None:
    """Execute a run in a process of its own, which ends when this one does; it is in `children` for as long."""
    command = [sys.executable, "-P", "-c", "from medlab.runs.sweeping import _child; _child()"]
    with (
        TemporaryFile("w+", errors="replace") as said,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
            text=True,
            env=ONE_THREAD | os.environ,
            start_new_session=True,
        ) as child,
    ):
        children.add(child)
        with suppress(BrokenPipeError):
            child.stdin.write(json.dumps(plan) + "\n")  # type: ignore[union-attr]
            child.stdin.flush()  # type: ignore[union-attr]
        code = child.wait()
        children.discard(child)
        said.seek(0)
        last = said.read().strip().rpartition("\n")[2]
    if code < 0:
        raise RuntimeError(f"the worker of this run died (signal {-code}: out of memory, or killed)")
    if code:
        raise RuntimeError(f"the worker of this run ended with code {code}: {last}")


def _child() -> None:
    """Execute the run that the first line of the standard input describes; the end of the input interrupts it."""
    import signal

    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell started this in the background
    plan = json.loads(sys.stdin.readline())

    def watch() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGINT)

    Thread(target=watch, daemon=True).start()
    run(**plan, progress=False)
    os._exit(0)  # without waiting for the thread, which holds the standard input


@contextmanager
def _on_cluster(plans: list[dict], scheduler: str) -> Iterator[Iterator[tuple[str, BaseException | None]]]:
    """The runs on a Dask cluster, as those of `_here`; its certificates are those of Dask's configuration."""
    from dask import config
    from distributed import Client
    from distributed import as_completed as completed

    if scheduler.startswith("tls://") and not config.get("distributed.comm.tls.ca-file"):
        raise ValueError(
            f"scheduler {scheduler!r} asks for a certificate: say where it is, as the instructor's guide does"
        )
    with Client(scheduler) as client:
        futures = {client.submit(_task, plan, pure=False): plan["out"] for plan in plans}
        yield ((futures[future], future.exception()) for future in completed(futures))


def _task(plan: dict) -> None:
    if (Path(plan["out"]) / STATUS).exists():  # the sweep cleared this folder, so a worker began this run and died
        raise RuntimeError("the worker of this run died (out of memory, or killed)")
    run(**plan, progress=False)


def _summarize(results: list[RunResult], before: int, root: Path) -> None:
    counts = ", ".join(f"{count} {state}" for state, count in Counter(result.state for result in results).items())
    print(f"sweep: {len(results)} runs: {counts} ({before} of them not run again) in {root}")
    for result in results:
        if not result.ok:
            print(f"{result.parameters}: {result}")
