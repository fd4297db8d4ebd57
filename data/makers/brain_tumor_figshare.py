"""brain_tumor_figshare: contrast-enhanced T1 slices with three kinds of tumor, 128 x 128 pixels.

SOURCE: figshare 1512427 (doi 10.6084/m9.figshare.1512427.v5, CC BY 4.0), all parts unpacked: 1.mat to 3064.mat. They
are MATLAB files of version 7.3, which SciPy does not read: this script alone needs h5py (pip install h5py). Our folder
has the slices that brain_tumor_figshare.txt names; they went through JPEG, so the archive differs from the list. The
publisher's masks and patient ids, which are not in our copy, are written beside the boxes.
"""

from pathlib import Path

import numpy as np
from common import ids, run
from PIL import Image

SIDE = 128  # pixels
CLASSES = ("meningioma", "glioma", "pituitary")  # 1, 2, 3 in the files


def make(source: Path, folder: Path) -> None:
    """Write ``brain_tumor_128.npz`` with images, labels, boxes, numbers, patients and masks."""
    try:
        import h5py
    except ImportError as error:
        raise ValueError("h5py reads MATLAB files of version 7.3: pip install h5py, then run this again") from error
    files = {path.stem: path for path in source.rglob("*.mat")}
    chosen = [number for number in ids(__file__) if number in files]
    if not chosen:
        raise ValueError(f"{source} holds no NUMBER.mat of the list; unpack all parts of the set there")
    images, labels, boxes, patients, masks = [], [], [], [], []
    for number in chosen:
        with h5py.File(files[number], "r") as file:  # MATLAB stores columns first
            values, mask = file["cjdata/image"][()].T.astype(float), file["cjdata/tumorMask"][()].T > 0
            labels.append([int(file["cjdata/label"][0, 0]) - 1])
            patients.append("".join(chr(code) for code in file["cjdata/PID"][()].ravel()))
        gray = np.rint(255 * (values - values.min()) / max(np.ptp(values), 1)).astype(np.uint8)
        images.append(np.asarray(Image.fromarray(gray).resize((SIDE, SIDE), Image.Resampling.BOX)))
        masks.append(np.asarray(Image.fromarray(mask).resize((SIDE, SIDE), Image.Resampling.NEAREST)).astype(np.uint8))
        boxes.append(_box(mask))
    folder.mkdir(parents=True)
    np.savez_compressed(
        folder / "brain_tumor_128.npz",
        images=np.stack(images),
        labels=np.array(labels, np.uint8),
        boxes_xywh=np.array(boxes, np.float32),
        source_number=np.array(chosen, np.int16),
        class_names=np.array(CLASSES),
        patients=np.array(patients),
        masks=np.stack(masks),
    )


def _box(mask: np.ndarray) -> list[float]:
    """Center x and y, width and height of a mask, as shares of the picture."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    (top, bottom), (left, right) = (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)
    height, width = mask.shape
    return [(left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height]


if __name__ == "__main__":
    run(make, __file__, __doc__)
