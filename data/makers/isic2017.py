"""isic2017: ISIC 2017 lesions with their masks at 256 x 256 pixels.

SOURCE: the files of ISIC 2017 (challenge.isic-archive.com/data), unpacked in one folder: Training and Validation
data, and the ground truth of parts 1 and 3 of both; license CC0. Our folder has the 1,899 images that the list names.
Its pictures were resized by somebody else, by an unknown method, before they were stored as JPEG again: those made here
show the same, but differ from the list in every picture. Masks are the publisher's, resized to the nearest pixel.
"""

import csv
from pathlib import Path

import numpy as np
from common import SIZE, run
from PIL import Image

from medlab.data.files import hashes
from medlab.data.publishers import ISIC_CLASSES, ISIC_SPLITS, isic2017_files, table_rows

HEADER = ["image_id", "split", "melanoma", "seborrheic_keratosis", "class", "age", "sex", "mask_fraction"]


def make(source: Path, folder: Path) -> None:
    """Write ``images/SPLIT/ID.jpg``, ``masks/SPLIT/ID.png`` and ``labels.csv``."""
    listed, rows, about = hashes("isic2017"), [], {}
    for word in ISIC_SPLITS.values():
        table = f"ISIC-2017_{word}_Data_metadata.csv"
        about |= {name: rest for name, *rest in table_rows(source, table, "image_id", "age_approximate", "sex")}
    for lesion in isic2017_files(source):
        place = f"{lesion.split}/{lesion.patient}"
        if f"images/{place}.jpg" not in listed:
            continue
        if lesion.mask is None:
            raise ValueError(f"{source} has no mask of {lesion.patient}: unpack the ground truth of part 1 there, too")
        image, mask = folder / "images" / f"{place}.jpg", folder / "masks" / f"{place}.png"
        for path in (image, mask):
            path.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(lesion.image) as picture:
            picture.convert("RGB").resize(SIZE, Image.Resampling.BOX).save(image, quality=95)
        with Image.open(lesion.mask) as picture:
            small = picture.convert("L").resize(SIZE, Image.Resampling.NEAREST).point(lambda v: 255 * (v > 127), "1")
        small.save(mask)
        kinds = [int(lesion.kind == k) for k in (1, 2)]
        person = about.get(lesion.patient, ["unknown", "unknown"])
        share = f"{np.asarray(small).mean():.4f}"
        rows.append([lesion.patient, lesion.split, *kinds, ISIC_CLASSES[lesion.kind], *person, share])
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])


if __name__ == "__main__":
    run(make, __file__, __doc__)
