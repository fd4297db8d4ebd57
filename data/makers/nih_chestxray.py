"""nih_chestxray: chest X-rays of adults, no finding or pneumonia, at 96 x 96 pixels.

SOURCE: ChestX-ray14 of the NIH Clinical Center (nihcc.app.box.com/v/ChestXray-NIHCC), images_001 to images_012
unpacked, with Data_Entry_2017.csv or its version of 2020 beside them; no restrictions on use. Our folder has the films
that nih_chestxray.txt names. Which table its labels are of and how it was made smaller is not known, so the archive may
differ from the list.
"""

from pathlib import Path

import numpy as np
from common import ids, run
from PIL import Image

from medlab.data.publishers import NIH_CLASSES, nih_files

SIDE = 96  # pixels


def make(source: Path, folder: Path) -> None:
    """Write ``nih_cxr_96.npz`` with images, labels, files, patients and class_names."""
    films = {film.image.name: film for film in nih_files(source)}
    chosen = [films[name] for name in ids(__file__) if name in films]
    if not chosen:
        raise ValueError(f"{source} holds none of the films of nih_chestxray.txt")
    print(f"{len(chosen)} of {len(ids(__file__))} films found")
    pixels = []
    for film in chosen:
        with Image.open(film.image) as image:  # a few films are stored with colors
            pixels.append(np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)))
    folder.mkdir(parents=True)
    np.savez_compressed(
        folder / "nih_cxr_96.npz",
        images=np.stack(pixels),
        labels=np.array([[film.kind] for film in chosen], np.uint8),
        files=np.array([film.image.name for film in chosen]),
        patients=np.array([film.patient for film in chosen]),
        class_names=np.array(NIH_CLASSES),
    )


if __name__ == "__main__":
    run(make, __file__, __doc__)
