"""Every lesson on a pretend accelerator, with short trainings: no cell mixes devices."""

import contextlib
import io
import json
import multiprocessing
import os
import traceback
from functools import partial
from pathlib import Path

import pytest
from project import NOTEBOOKS

CHILDREN = multiprocessing.get_context("forkserver")  # a lesson changes the library, and leaves its figures open
# What lessons and their helpers import, for all of them at once. Python 3.11 finds no helper of the tests itself there.
ROOMS = ["data", "models", "train", "metrics", "visualize", "reader_study", "runs", "classroom"]
OTHERS = [
    "pytest",
    "IPython.core.interactiveshell",
    "ipywidgets",
    "nbformat",
    "matplotlib.pyplot",
    "pandas",
    "sklearn.metrics",
]
CHILDREN.set_forkserver_preload([f"medlab.{room}" for room in ROOMS] + OTHERS)
LIMIT = 3600  # seconds, on a busy machine; a lesson takes 6 to 27 on a quiet one
# Lessons that need as many images as they load; the others get a quarter.
WHOLE = ["01_shallow_cnn", "05_scan", "07_wgan_mr", "08_gan_augmentation", "10_synthetic_images"]


def first(n):
    """As many of a set's images."""
    return lambda images: images[images.order(0)[:n]]


# Fewer images and turns where a lesson counts them itself: every cell runs, few of them long. A function is given what
# the lesson has by that name.
SMALLER = {
    "00_start_here": {"accuracies": lambda accuracies: partial(accuracies, draws=2)},
    "02_synergic": {"val": first(100), "exam": first(200)},
    "03_unet_drinet": {"patients": 10, "exam_patients": 6, "steps": 2},
    "04_patches": {"examined": 2, "per_class": 200, "turns": 1, "train": first(6), "val": first(1)},
    "05_scan": {"rounds": 4, "bedside": first(20), "real": first(100)},
    "06_gan_pet": {
        "chosen": {"gan_steps": 2, "ema": 0.5, "networks": 1, "steps": 2, "exam": 20},
        "learn": 12,
        "more": 12,
        "order": lambda order: order[:16],
        "sources": lambda sources: {name: images[:16] for name, images in sources.items()},
    },
    "07_wgan_mr": {"chosen": {"ring": 25, "brains": 5, "patients": 12}},
    "08_gan_augmentation": {
        "chosen": lambda chosen: chosen | {"amounts": (30, 60)},
        "copies": 90,
        "synthetic": 30,
        "exam": first(200),
        "longest": 256,
    },
    "09_improved_gans": {
        "chosen": {"size": 32, "slices": 60, "width": 64, "steps": 4, "ring": 10, "few": 4},
        "seven_kinds": lambda seven_kinds: partial(seven_kinds, n=30),
    },
    "11_away_from_home": {"films": 2400},
    "12_trained_start": {
        "steps": 1,
        "contrast_steps": 2,
        "kinds_steps": 2,
        "film_steps": 2,
        "vit_steps": 2,
        "member_steps": 2,
    },
    "13_noise_physics_geometry": {
        "turns": 20,
        "steps": 4,
        "patients": 8,
        "POINTS": 30,
        "register": lambda register: partial(register, steps=2),
    },
    "14_a_minute": {
        "BATCH": 16,
        "ROUNDS": 2,
        "test": first(60),
        "best": lambda best: lambda run, *given, spend=0: best(run, *given, spend=0),
    },
    "capstone": {"epochs": 1, "test": first(100)},
}
WRONG_DEVICE = ("MixedDevicesError", "TypeError: can't convert pretend")


def child(path: Path, cache: Path, pipe) -> None:
    """Execute a lesson on phantoms alone; sends how many cells there are, the errors by cell, and sizes never met."""
    import torch
    from IPython.core.interactiveshell import InteractiveShell
    from matplotlib import pyplot
    from pretend_device import pretend_device
    from reduced import QUICK, SHORT

    from medlab.visualize.figures import Figure

    os.chdir(path.parent)
    os.environ.pop("MEDLAB_DATA", None)
    os.environ["MEDLAB_CACHE"] = str(cache)
    pyplot.switch_backend("agg")
    torch.set_num_threads(1)
    shell = InteractiveShell.instance()
    # Shown to nobody: figures (their numbers are taken when they are made, not when they are drawn), tables, errors.
    Figure.png = lambda self: b""
    shell.display_pub.publish = shell.showtraceback = lambda *args, **kwargs: None
    shell.displayhook.write_format_data = shell.displayhook.write_output_prompt = lambda *args, **kwargs: None
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    failed, smaller = {}, dict(SMALLER.get(path.stem, {}))
    with pretend_device(), contextlib.redirect_stdout(io.StringIO()):
        assert shell.run_cell(SHORT if path.stem in WHOLE else QUICK).success
        for number, cell in enumerate(cells):
            result = shell.run_cell("".join(cell["source"]))
            if error := result.error_in_exec or result.error_before_exec:
                where = traceback.format_list(traceback.extract_tb(error.__traceback__)[-6:])
                failed[number] = f"{type(error).__name__}: {error}\n{''.join(where)}"
            pyplot.close("all")
            for name in smaller.keys() & shell.user_ns.keys():
                value = smaller.pop(name)
                shell.user_ns[name] = value(shell.user_ns[name]) if callable(value) else value
    pipe.send((len(cells), failed, sorted(smaller)))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_runs_on_the_device(path, tmp_path):
    ours, theirs = CHILDREN.Pipe()
    process = CHILDREN.Process(target=child, args=(path, tmp_path, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        assert ours.poll(LIMIT), f"{path.name} took more than {LIMIT} s"
        cells, failed, unknown = ours.recv()
    finally:
        process.kill()
        process.join()
    assert not unknown, f"{path.name} has no {', '.join(unknown)} of SMALLER"
    mixed = {cell: error for cell, error in failed.items() if error.startswith(WRONG_DEVICE)}
    assert not mixed, "\n".join(f"code cell {cell}: {error}" for cell, error in mixed.items())
    # A training of one epoch is too short for some cells, which say so; where most fail, nothing was shown.
    assert len(failed) < cells / 4, failed
