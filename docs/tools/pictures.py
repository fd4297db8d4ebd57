"""Make the pictures of README.md and the site from the course's own figures and records: `make pictures`."""

from io import BytesIO
from pathlib import Path

import torch
from PIL import Image
from pydicom.data import get_testdata_file

from medlab import visualize
from medlab.data import load
from medlab.data.dicom import load_dicom
from medlab.runs import replication_rows
from medlab.visualize import Figure

PICTURES = Path(__file__).parents[1] / "pictures"
WIDTH = 900  # pixels


def lessons() -> list[Figure]:
    """What a student sees in lessons 00, 01 and 03: the modalities, organs to be found, the lung patches."""
    sets = {"X-ray": "chest", "MRI": "brain", "PET": "pet", "ultrasound": "ultrasound"}
    tiles = [load(name, n=30).images[1] for name in sets.values()]
    hu, _ = load_dicom(get_testdata_file("CT_small.dcm"))
    ct = torch.tensor((hu - 40) / 400 + 0.5).clamp(0, 1)[None]
    abdomen = load("abdomen", n=40)
    return [
        visualize.image_grid(torch.stack([*tiles, ct]), [*sets, "CT"], ncols=5),
        visualize.segmentation_grid(abdomen.images[5:6], {"mask": abdomen.targets[5:6]}, abdomen.info.classes),
        visualize.class_grid(load("lung", n=900), per_class=9),
    ]


def replication() -> Figure:
    """What each lesson's main claim came to: claim, difference and verdict, one below the other."""
    rows, colors = replication_rows(), {"held": "#009E73", "did not hold": "#D55E00"}
    alt = "; ".join(f"{row['lesson']}: {row['claim']}, {row['verdict']}" for row in rows)
    fig, ax = visualize.subplots(alt=alt, size=(9, 0.36 * len(rows) + 0.6))
    for column, (x, head) in enumerate(((0, "lesson"), (0.06, "claim"), (0.56, "difference"), (0.79, "verdict"))):
        ax.text(x, -1, head, weight="bold", fontsize=10)
        for place, row in enumerate(rows):
            kind = row["verdict"].partition(",")[0]
            text = (row["lesson"][:2], row["claim"], row["ours"], row["verdict"])[column]
            ax.text(x, place, text, fontsize=9.5, color=colors.get(kind, "0.25") if head == "verdict" else "black")
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -1.6))
    ax.axis("off")
    return fig


def stack(figures: list[Figure]) -> Image.Image:
    """The figures below each other, on white, all of one width."""
    images = [Image.open(BytesIO(figure.png())).convert("RGB") for figure in figures]
    images = [image.resize((WIDTH, round(image.height * WIDTH / image.width))) for image in images]
    sheet = Image.new("RGB", (WIDTH, sum(image.height for image in images)), "white")
    top = 0
    for image in images:
        sheet.paste(image, (0, top))
        top += image.height
    return sheet


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    # octree: the other palettes are made for the many grays and lose the few colors
    sheet = stack(lessons()).quantize(128, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    sheet.save(PICTURES / "lessons.png", optimize=True)
    (PICTURES / "replication.png").write_bytes(replication().png())
