"""Write docs/image-sets.md from the tables that `load` reads: `python docs/tools/image_sets.py`."""

from pathlib import Path

from medlab.data import PHANTOMS, Info, medmnist
from medlab.data.real_scans import CASES
from medlab.data.real_sets import REAL
from medlab.data.registry import info_of, sizes_text

PAGE = Path(__file__).parents[1] / "image-sets.md"
HEAD = f"""\
# Image sets

Every set of `medlab.data.load`, by name: what it asks for, in which sizes, what is kept whole when it is split, what
the gray values 0 and 1 are, and what must be known before a result on it is believed. `load(name)` gives images in
[0, 1], slices where the set holds volumes. None of the real sets is a benchmark: most are parts of what was published,
some after JPEG and resizing. Say so wherever a figure from them is shown.

Whole scans in their own units (HU, SUV), with their affine and label map, come from
`medlab.data.read_volume(name, case)`, for {{volumes}}.

This page is written by `python docs/tools/image_sets.py`. Do not edit it.

## Phantoms

Simulated, generated when asked for, and split by their virtual patients.

{{phantoms}}
## MedMNIST

Downloaded on first use. {medmnist.NO_PATIENTS}

{{medmnist}}
## Other real images

"Folder" is the place in the folder that `MEDLAB_DATA` names. The hippocampi and MedNIST are downloaded on first use;
the others are not, unless `MEDLAB_MIRROR` is the address of a web server that has such folders. The scripts in
`data/makers` make them from the publishers' files. A few images of most sets come with the course:
`medlab.data.load_sample(name)`.

{{real}}"""
COLUMNS = ("name", "task: classes", "images", "size in pixels", "split by", "0 and 1", "license")


def row(info: Info, images: object, sizes: object, unit: str, *more: str) -> str:
    """One row of a table."""
    what = f"{info.task}: {', '.join(info.classes)}" if len(info.classes) > 1 else f"one class: {info.classes[0]}"
    cells = (f"`{info.name}`", what, str(images), sizes_text(sizes), unit, info.unit, info.license, *more)
    return "| " + " | ".join(cell.replace("|", r"\|") or "-" for cell in cells) + " |\n"


def table(rows: list[str], *more: str) -> str:
    """Rows under their heads."""
    columns = (*COLUMNS, *more)
    return f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}\n" + "".join(rows)


def page() -> str:
    """The page as it should be."""
    phantoms = [
        row(info := info_of(name), phantom.n, phantom.sizes, "patient", info.note) for name, phantom in PHANTOMS.items()
    ]
    published = []
    for name in medmnist.SOURCES:
        info, images = medmnist.about(name), sum(medmnist.entry(name)["n_samples"].values())
        note = info.note.removeprefix(medmnist.NO_PATIENTS).strip()
        published.append(row(info, images, medmnist.sizes(name), "the publisher's splits", note))
    real = [row(one.info, one.images, one.sizes, one.split_by, one.info.note, one.place) for one in REAL.values()]
    return HEAD.format(
        volumes=", ".join(f"`{name}`" for name in CASES),
        phantoms=table(phantoms, "note"),
        medmnist=table(published, "note"),
        real=table(real, "what cannot be excluded, and more", "folder"),
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.name}")
