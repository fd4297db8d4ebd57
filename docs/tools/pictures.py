"""Make the picture of README.md and the site from the course's own figures: `make pictures`."""

from io import BytesIO
from pathlib import Path

import torch
from PIL import Image
from pydicom.data import get_testdata_file

from medlab import visualize
from medlab.data import load
from medlab.data.dicom import load_dicom
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
        visualize.mask_overlay(abdomen.images[5], abdomen.targets[5], abdomen.info.classes),
        visualize.class_grid(load("lung", n=900), per_class=9),
    ]


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
