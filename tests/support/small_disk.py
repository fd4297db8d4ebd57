"""A disk of 64 kB, and what the course writes to one: each file first small, then larger than the disk."""

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from loopback import address, serve
from papermill.iorw import papermill_io

from medlab.data import files
from medlab.runs.executing import _written_at_once
from medlab.runs.state import write_json
from medlab.storage import append
from medlab.train import save_checkpoint
from medlab.visualize import Figure

Writers = Callable[[int], dict[str, Callable[[], object]]]


@contextmanager
def small_disk(folder: Path) -> Iterator[Writers | None]:
    """Mount one on `folder`; None where none can be mounted.

    Yields:
        A function from a number of bytes to what writes a file of about that size there, by the name of the file.
    """
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        yield None
        return
    kept = {name: os.environ.get(name) for name in ("MEDLAB_CACHE", "NO_PROXY")}
    os.environ |= {"MEDLAB_CACHE": str(folder), "NO_PROXY": "127.0.0.1"}
    try:
        with TemporaryDirectory() as other, serve(Path(other)) as server:

            def download(n: int) -> None:
                served = Path(other) / "set.npz"
                served.write_bytes(b"1" * n)
                md5 = hashlib.md5(served.read_bytes()).hexdigest()
                files.download("set.npz", address(server, "set.npz"), md5, "", "lung", progress=False)

            def draw(n: int) -> None:
                side = (n / 4) ** 0.5 / 100  # inches of 100 pixels of 4 bytes
                Figure((side, side), alt="nothing").savefig(folder / "figure.rgba", dpi=100)

            yield lambda n: {
                "run.pt": lambda: save_checkpoint(folder / "run.pt", {"a": torch.ones(n // 4)}),
                "results.json": lambda: write_json(folder / "results.json", {"a": "1" * n}),
                "answers.csv": lambda: append(folder / "answers.csv", "1" * n, "head\n"),
                "figure.rgba": lambda: draw(n),
                "executed.ipynb": lambda: papermill_io.write("1" * n, f"{_written_at_once()}{folder}/executed.ipynb"),
                "set.npz": lambda: download(n),
            }
    finally:
        for name, value in kept.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        subprocess.run(["umount", folder], check=True)
