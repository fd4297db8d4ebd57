"""The command `medlab`. Each command imports what it needs, so that `medlab --help` answers at once.

Exit codes: 0 success, 1 a run failed, 2 wrong arguments.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

app = typer.Typer(
    help="A notebook course on deep learning for medical imaging.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # importing rich would double the start-up time
    pretty_exceptions_enable=False,
)


class _PairsCommand(TyperCommand):
    """A command whose option -p takes two values, NAME VALUE, and may be repeated: typer has no such option."""

    def parse_args(self, ctx, args: list[str]) -> list[str]:
        words, joined = iter(args), []
        for word in words:
            joined.append(word)
            if word == "-p":
                name, value = next(words, None), next(words, None)
                if name is None or value is None or not name.isidentifier():
                    raise typer.BadParameter("write -p NAME VALUE, such as -p seed 3", ctx=ctx)
                joined.append(f"{name}={value}")
        return super().parse_args(ctx, joined)


@contextmanager
def _in_one_line(kept: str = "nothing was changed") -> Iterator[None]:
    """Say in one line what is wrong with the arguments, or after Ctrl-C what is `kept` and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"interrupted: {kept}", err=True)
        raise typer.Exit(130) from None
    except (ValueError, OSError) as error:  # OSError: no such file, no network, a full disk
        text = str(error)
        if isinstance(error, OSError) and error.filename is not None and error.strerror:
            text = f"{error.filename}: {error.strerror}"
        typer.echo(f"error: {text}", err=True)
        raise typer.Exit(2) from None
    except (MemoryError, RuntimeError) as error:  # PyTorch's is a RuntimeError
        if "memory" not in str(error).lower() and not isinstance(error, MemoryError):
            raise
        typer.echo(f"error: not enough memory, take smaller or fewer images ({str(error):.200})", err=True)
        raise typer.Exit(2) from None


def _print_version(asked: bool) -> None:
    if asked:
        from medlab import __version__

        typer.echo(f"medlab {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Hold the options that come before a command."""


@app.command(cls=_PairsCommand)
def run(
    notebook: Annotated[str, typer.Argument(help="Lesson number (01), lesson name or path of a notebook.")],
    parameter: Annotated[
        list[str] | None, typer.Option("-p", metavar="NAME VALUE", help="Set a parameter; may be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of this run; by default a new one under runs/.")] = None,
    timeout: Annotated[
        int | None, typer.Option(min=1, help="Seconds that a cell may take; by default no limit.")
    ] = None,
) -> None:
    """Execute a notebook with the given parameters; keep the executed copy, an HTML page and the results."""
    from medlab import runs

    with _in_one_line("what was computed is in the run's folder, as failed; the same command runs it again"):
        path = runs.find_notebook(notebook)
        result = runs.run(
            path,
            runs.check_parameters(path, dict(p.split("=", 1) for p in parameter or []), text=True),
            out=out,
            timeout=timeout,
        )
    typer.echo(str(result))
    strict = os.environ.get("MEDLAB_STRICT", "0") not in ("", "0")
    raise typer.Exit(0 if result.ok and (not strict or _print_marks(path)) else 1)


@app.command()
def sweep(
    plan: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="Which notebook, parameters, grid and seeds.")],
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler, tls://...; by default none: runs here.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Parallel runs here; by default one per core.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the runs; by default one under runs/.")] = None,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds that a cell may take before its run fails.")] = 12 * 3600,
) -> None:
    """Execute a notebook for every combination of parameters and seeds; a second call continues an unfinished one."""
    from medlab import runs

    with _in_one_line("the runs that are done are kept; the same command goes on with the others"):
        results = runs.sweep(plan, scheduler, out, workers, timeout)
    raise typer.Exit(0 if all(result.ok for result in results) else 1)


@app.command()
def record(
    name: Annotated[str, typer.Argument(help="Of the record, such as 09-claim; its plan is data/results/NAME.yaml.")],
    workers: Annotated[int | None, typer.Option(help="Parallel runs; by default one.")] = None,
) -> None:
    """Run the seeds that a recorded result lacks, and add each to it; a second call goes on with the rest."""
    from medlab import runs

    with _in_one_line("the seeds that are done are in the record; the same command goes on with the others"):
        try:
            typer.echo(str(runs.grow_record(name, workers)))
        except RuntimeError as error:  # a run failed
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from None


@app.command()
def table(
    folder: Annotated[Path | None, typer.Argument(help="Folder of runs, searched recursively.")] = None,
) -> None:
    """Print means and intervals over the successful runs of a folder; without a folder, all recorded claims."""
    from medlab import runs

    with _in_one_line():
        typer.echo(runs.claims_table() if folder is None else str(runs.table(folder)))


@app.command(context_settings={"ignore_unknown_options": True})
def lab(
    options: Annotated[
        list[str] | None, typer.Argument(metavar="[OPTION]...", help="Options of Jupyter's own, such as --Name.x=1.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the first lesson in a browser.")] = True,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port on this computer; by default 8888 or the next free one.")
    ] = None,
) -> None:
    """Open your copy of the lessons in JupyterLab, brought up to date, and print its address; Ctrl-C stops it."""
    from medlab.lab import open_lab

    with _in_one_line():
        open_lab(browser, port, options or ())


@app.command()
def update(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of your copies; by default my-lessons/ in that of the course.")
    ] = None,
) -> None:
    """Bring your copy of the lessons up to date; what you changed stays. `medlab lab` does the same."""
    from medlab.classroom import update_lessons
    from medlab.lab import copies_folder
    from medlab.runs.parameters import lessons_folder

    with _in_one_line("every lesson is whole, as it was or as it is now; the same command does the rest"):
        folder = folder or copies_folder()
        for line in update_lessons(lessons_folder(), folder) or [f"{folder}: nothing new"]:
            typer.echo(line)


@app.command()
def student(out: Annotated[Path, typer.Argument(metavar="OUT/", help="New folder for the lessons.")]) -> None:
    """Write the students' edition: all lessons without their solutions."""
    from medlab.classroom import student_edition
    from medlab.runs.parameters import lessons_folder

    with _in_one_line("lessons may be missing: remove the folder, and call this again"):
        for path in student_edition(lessons_folder(), out):
            typer.echo(str(path))


@app.command()
def nbgrader(out: Annotated[Path, typer.Argument(metavar="OUT/", help="New folder for the course.")]) -> None:
    """Write a course for nbgrader: all lessons with points, solutions and hidden tests."""
    from medlab.classroom import nbgrader_course
    from medlab.runs.parameters import lessons_folder

    with _in_one_line("lessons may be missing: remove the folder, and call this again"):
        for path in nbgrader_course(lessons_folder(), out):
            typer.echo(str(path))


@app.command()
def mark(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A submitted notebook, or a folder of them.")],
) -> None:
    """Mark submitted notebooks by the lessons' own checks, which their code cannot reach."""
    raise typer.Exit(0 if _print_marks(path) else 1)


def _print_marks(path: Path) -> bool:
    """Print the marks of submissions; whether all is solved, with nothing to look at."""
    from medlab.classroom import mark
    from medlab.runs.parameters import lessons_folder

    with _in_one_line():
        marks = mark(lessons_folder(), path)
    for one in marks:
        typer.echo(str(one))
    return all(one.ok for one in marks)


@app.command()
def train(
    model: Annotated[str, typer.Argument(help="ShallowCNN, SmallCNN, small_resnet18 or quick.")],
    data: Annotated[str, typer.Argument(metavar="DATASET", help="Name of a data set, such as lung or pneumoniamnist.")],
    size: Annotated[int | None, typer.Option(help="Image size in pixels; by default the usual one.")] = None,
    n: Annotated[
        int | None,  # torchrun takes --n for one of its own
        typer.Option("--n", "--images", help="Number of images; by default all. Under torchrun write --images."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Budget of the model quick, on two cores of 2024; by default 60.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training set; by default 10.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step, over all processes; by default 64.")] = None,
    lr: Annotated[float | None, typer.Option(help="Maximum learning rate; by default 1e-3.")] = None,
    optimizer: Annotated[str, typer.Option(help="adamw, sgd or nesterov.")] = "adamw",
    patience: Annotated[int | None, typer.Option(help="Epochs without improvement before training stops.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of split, weights, order, augmentation and dropout.")] = 0,
    augment: Annotated[bool, typer.Option(help="Small random shifts, rotations and intensity changes.")] = False,
    checkpoint: Annotated[Path | None, typer.Option(metavar="FILE", help="Written after every epoch.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint if it exists.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Start anew although the checkpoint holds a training.")
    ] = False,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the network: FILE.safetensors and its card, FILE.json.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; by default the fastest available.")] = None,
    precision: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16; default: the fastest.")] = None,
) -> None:
    """Train a classifier and print its report on the test set; on several devices: torchrun -m medlab train ...

    The model quick takes its network and all that is not said here from the set and the budget, and prints why.
    """
    from medlab.train import command

    kept = "nothing is kept; with --checkpoint FILE every epoch is"
    if checkpoint is not None:
        kept = f"{checkpoint} holds the epochs that were finished; the same command with --resume goes on"
    with _in_one_line(kept):
        try:
            command.train(
                model, data, size=size, n=n, seconds=seconds, epochs=epochs, batch_size=batch_size, lr=lr,
                optimizer=optimizer, patience=patience, seed=seed, augment=augment, checkpoint=checkpoint,
                resume=resume, overwrite=overwrite, device=device, precision=precision, save=save,
            )  # fmt: skip
        except FloatingPointError as error:  # the arguments were valid, but training diverged
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from None


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="File that medlab.models.save_model wrote.")],
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE_OR_FOLDER", help="DICOM, a series, NIfTI or pictures; folders in a folder, too."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="CSV file for the table, or folder for the masks; by default predictions/.")
    ] = None,
) -> None:
    """Print what a saved network says of images: a table of classes, or masks on the grids of their files."""
    from medlab.models import load_model
    from medlab.train import predict_command

    with _in_one_line("the files that are named above are done"):
        network, failed = load_model(model), None
        try:
            for line in predict_command.predict_to(network, path, out):
                typer.echo(line)
        except predict_command.FilesFailedError as error:
            failed = error
    card: Any = network.card
    typer.echo(f"{card['name']} takes gray values as: {card['unit']}. Not for clinical use.", err=True)
    if failed is not None:
        typer.echo(f"error: {failed}", err=True)
        raise typer.Exit(1)


@app.command()
def doctor() -> None:
    """Describe this installation in one line: versions, device, cached data sets."""
    import medlab

    typer.echo(medlab.doctor())
