"""What is lost when processes are killed at random, two write at once, a disk is full, or a clock jumps.

Kills: a training with a checkpoint, a run of a notebook, a sweep, and a visual Turing test are killed at random moments
and called again, until the last call goes through. Lost: a file that was whole and is not there any more, or an answer
that was given. Half: a file that cannot be read, or a temporary one that stays. Unequal: the end is another than
without a kill. Two writers: two trainings with one checkpoint, two runs or sweeps into one folder, at the same time. A
full disk: a checkpoint, a result, an answer, a picture, an executed notebook and a download on a tmpfs of 64 kB, where
one can be mounted. A clock that jumps: a run
that lives, and one that does not, read a day off. Changed files: 2000 of each kind, as tests/data/test_bombs.py makes
them; unequal is each kind with one that is neither read nor refused by name.

    python tests/benchmarks/breaker.py --kills 5    # a look; by default 150, half an hour on an idle machine
    python tests/benchmarks/breaker.py --record     # and writes data/results/breaker.json
"""

import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from kept import Clock

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from small_disk import small_disk

from medlab.reader_study import read_answers
from medlab.runs import read_run
from medlab.runs.state import EXECUTED, STATUS
from medlab.storage import is_held
from medlab.train import load_checkpoint

KILLS = {"training": 60, "run": 30, "sweep": 20, "Turing test": 40}  # of 150
START = "import sys, hashlib, numpy as np, torch; torch.set_num_threads(1); target = sys.argv[1]\n"
TRAINING = """
from medlab.data import ImageSet
from medlab.models import SmallCNN
from medlab.train import fit, seed_everything
seed_everything(0)
images = torch.rand(256, 1, 24, 24)
network = SmallCNN(1, 2)
fit(network, ImageSet(images, torch.arange(256) % 2), epochs=40, seed=0, checkpoint=target, resume=True, progress=False)
print(hashlib.sha256(b"".join(part.numpy().tobytes() for part in network.state_dict().values())).hexdigest())
"""
TURING = """
import time
from medlab.reader_study import TuringTest
real, synthetic = np.random.default_rng(0).random((2, 40, 8, 8))
test = TuringTest(real, synthetic, target, seed=1, clock=lambda: 0.0)
while not test.done:
    test.show()
    test.answer(test.order[test.trial - 1][0], min_seconds=-1)
    print(len(test.answers), flush=True)
    time.sleep(0.05)
print(hashlib.sha256(open(target, "rb").read()).hexdigest())
"""
NOTEBOOK = {
    "1": "seed: int = 0",
    "2": "from medlab.runs import record\nrecord(score=seed + 1)\nimport time\ntime.sleep(2)",
}


def notebook(folder: Path) -> Path:
    """A notebook that takes two seconds and records a value."""
    cells = [
        {"cell_type": "code", "id": name, "metadata": {"tags": ["parameters"] * (name == "1")}, "source": source,
         "outputs": [], "execution_count": None}
        for name, source in NOTEBOOK.items()
    ]  # fmt: skip
    path = folder / "nb.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    (folder / "plan.yaml").write_text(json.dumps({"notebook": str(path), "seeds": [0, 1]}))
    return path


def commands(folder: Path) -> dict[str, list[str]]:
    """The command line of each kind, which writes into `folder`."""
    path, python = notebook(folder), [sys.executable, "-c"]
    medlab = [sys.executable, "-m", "medlab"]
    return {
        "training": [*python, START + TRAINING, str(folder / "run.pt")],
        "run": [*medlab, "run", str(path), "--out", str(folder / "run")],
        "sweep": [*medlab, "sweep", str(folder / "plan.yaml"), "--out", str(folder / "sweep")],
        "Turing test": [*python, START + TURING, str(folder / "ann.csv")],
    }


def start(command: list[str]) -> subprocess.Popen:
    """Start a command; its output can be read."""
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def outcome(kind: str, folder: Path, said: str) -> str:
    """What must be equal without a kill and with many."""
    if kind in ("training", "Turing test"):
        return (said.split() or [""])[-1]
    return str(sorted(str(read_run(path.parent).values) for path in folder.rglob("results.json")))


def half_files(kind: str, folder: Path, ended: bool) -> int:
    """How many files cannot be read; where the last call has `ended`, also temporary files and locks that stay."""
    bad = 0
    for path in folder.rglob("*"):
        try:
            if path.name == EXECUTED or path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix == ".pt":
                load_checkpoint(path)
            elif path.suffix == ".csv":
                read_answers(path)
            bad += ended and path.suffix in (".part", ".lock")
        except ValueError:
            bad += kind != "Turing test" or ended  # a line that is cut short is asked again
    return bad


def straight(kind: str) -> tuple[str, float]:
    """What comes out where nothing is killed, and the seconds it takes."""
    with tempfile.TemporaryDirectory() as place:
        began, command = time.monotonic(), commands(Path(place))[kind]
        said = start(command).communicate()[0]
        return outcome(kind, Path(place), said), time.monotonic() - began


def kills(kind: str, count: int, rng: random.Random) -> Counter:
    """Kill a command at random moments, calling it again, anew where it went through."""
    found: Counter[str] = Counter()
    expected, seconds = straight(kind)
    while found["tried"] < count:
        with tempfile.TemporaryDirectory() as place:
            folder, confirmed = Path(place), 0
            command = commands(folder)[kind]
            for _ in range(min(6, count - found["tried"])):
                process = start(command)
                time.sleep(rng.uniform(0.3, 1) * seconds)
                ended = process.poll() is not None
                process.kill()
                said = process.communicate()[0].split()
                if ended:
                    break
                found["tried"] += 1
                found["half files"] += half_files(kind, folder, ended=False)
                numbers = [int(word) for word in said if word.isdecimal() and len(word) < 4]
                confirmed = max([confirmed, *numbers])
                if kind == "Turing test" and (folder / "ann.csv").exists():
                    found["lost"] += (folder / "ann.csv").read_text().count("\n") - 1 < confirmed
                elif kind == "training":
                    found["lost"] += confirmed and not (folder / "run.pt").exists()
                    confirmed = int((folder / "run.pt").exists())
                while any(is_held(each.parent / STATUS) for each in folder.rglob(STATUS)):
                    time.sleep(0.2)  # a child of a killed sweep ends
                if kind == "run" and read_state(folder / "run") == "done":
                    break
            done = kind == "run" and read_state(folder / "run") == "done"
            found["unequal"] += outcome(kind, folder, "" if done else start(command).communicate()[0]) != expected
            found["half files"] += half_files(kind, folder, ended=True)
    return found


def read_state(folder: Path) -> str:
    """The state of a run, or nothing where there is none."""
    return read_run(folder).state if (folder / STATUS).exists() else ""


def two_writers(count: int) -> Counter:
    """Two trainings with one checkpoint, two runs or sweeps into one folder, at the same time: one goes through."""
    found: Counter[str] = Counter()
    for kind in ("training", "run", "sweep"):
        expected = straight(kind)[0]
        for _ in range(count):
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place)
                command = commands(folder)[kind]
                pair = [start(command), start(command)]
                said = [process.communicate()[0] for process in pair]
                through = [text for process, text in zip(pair, said) if process.returncode == 0]
                found["tried"] += 1
                found["lost"] += not through
                found["unequal"] += any(outcome(kind, folder, text) != expected for text in through)
                found["half files"] += half_files(kind, folder, ended=True)
    return found


def full_disk(count: int) -> Counter | None:
    """What is there, and then more than fits: the first is still whole. None where no tmpfs can be mounted."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place, small_disk(Path(place)) as writers:
        if writers is None:
            return None
        for first in writers(100).values():
            first()
        before = {file.name: file.read_bytes() for file in Path(place).iterdir()}
        for number in range(count):
            for name, more in writers(80_000 + 1000 * number).items():
                try:
                    more()
                    found["unequal"] += 1  # it cannot have fitted
                except OSError as error:
                    found["unequal"] += "bytes, " not in str(error) or name not in str(error)
                after = {file.name: file.read_bytes() for file in Path(place).iterdir()}
                found["tried"] += 1
                found["lost"] += any(after.get(each) != content for each, content in before.items())
                found["half files"] += len(after) - len(before)
    return found


def changed_files(count: int) -> Counter:
    """Files of each kind that are changed at random: each is read, or refused by name."""
    tests = Path(__file__).parents[1] / "data" / "test_bombs.py"
    command = [sys.executable, "-m", "pytest", "-q", "-k", "changed_at_random", str(tests)]
    said = subprocess.run(command, env=os.environ | {"MEDLAB_FUZZ": str(count)}, capture_output=True, text=True).stdout
    kinds = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error)", said)}
    wrong = kinds.get("failed", 0) + kinds.get("error", 0)
    return Counter({"tried": count * sum(kinds.values()), "unequal": wrong})


def clock_steps() -> Counter:
    """A run that lives and one that is dead are told apart although the clock is a day off."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        process, real = start(commands(Path(place))["run"]), time.time
        try:
            while read_state(Path(place) / "run") != "running":
                time.sleep(0.1)
            for alive in (True, False):
                if not alive:
                    process.kill()
                    process.wait()
                for step in (-86_400, 0, 86_400):
                    time.time = lambda step=step: real() + step
                    found["tried"] += 1
                    found["unequal"] += read_state(Path(place) / "run") != ("running" if alive else "killed")
        finally:
            time.time = real
            process.kill()
            process.communicate()
    return found


def main() -> None:
    """Try everything, print the table, and keep it if asked to."""
    clock, rng = Clock(__doc__, kills=150, files=2000), random.Random(0)
    counts = {kind: max(1, round(count * clock.options.kills / 150)) for kind, count in KILLS.items()}
    few = max(1, clock.options.kills // 30)
    rows = {f"kills of a {kind}": kills(kind, count, rng) for kind, count in counts.items()}
    rows |= {"two writers": two_writers(few), "full disk": full_disk(4 * few), "clock steps": clock_steps()}
    rows["changed files"] = changed_files(clock.options.files)
    print("| what | tried | lost | half files | unequal |\n| --- | --- | --- | --- | --- |")
    names = ("tried", "lost", "half files", "unequal")
    for what, found in rows.items():
        cells = ["no tmpfs can be mounted here", "", "", ""] if found is None else [str(found[name]) for name in names]
        print("| " + " | ".join([what, *cells]) + " |")
    values = {name: {what: found[name] for what, found in rows.items() if found is not None} for name in names}
    print(f"\n{time.perf_counter() - clock.start:.0f} s")
    clock.keep("breaker", __file__, {"seed": 0, "kills": clock.options.kills, "files": clock.options.files}, values)


if __name__ == "__main__":
    main()
