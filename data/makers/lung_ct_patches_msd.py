"""lung_ct_patches_msd: lung CT patches with tumor masks, 48 x 48 pixels of 2 mm.

SOURCE: Task06_Lung of the Medical Segmentation Decathlon, unpacked (imagesTr, labelsTr, dataset.json); license
CC BY-SA 4.0. Ten patches of each of 26 cases: nine around a voxel of the tumor, one around any voxel. Where the
patches of our folder were cut and which window they were stored with is not known: those made here (-1000 to 400 HU)
are of the same kind, but the archive differs from the list.
"""

from pathlib import Path

import numpy as np
from common import run

from medlab.data import load_decathlon
from medlab.data.grids import resample_volume

SIDE, SPACING, WINDOW = 48, 2.0, (-1000, 400)  # pixels, mm, HU
IN_TUMOR, ANYWHERE = 9, 1  # patches of a case
CASES = {
    "val": (18, 26, 28, 34, 37, 48, 61, 62, 70, 75, 79, 83, 86),
    "test": (1, 9, 16, 22, 27, 41, 54, 59, 64, 81, 84, 93, 95),
}


def make(source: Path, folder: Path) -> None:
    """Write ``lung_patches_48.npz`` with images, masks and cases of "val" and "test"."""
    there, random, arrays = {case.patient: case for case in load_decathlon(source)[0]}, np.random.default_rng(0), {}
    for part, numbers in CASES.items():
        images, masks, names = [], [], []
        for name in [f"lung_{number:03d}" for number in numbers if f"lung_{number:03d}" in there]:
            volume, mask = there[name].load()
            volume, mask = resample_volume(volume, SPACING, mask)
            low, high = WINDOW
            gray = np.rint(255 * np.clip((volume.voxels - low) / (high - low), 0, 1)).astype(np.uint8)
            inside, everywhere = np.argwhere(mask > 0), np.argwhere(mask >= 0)
            for centers, count in ((inside, IN_TUMOR), (everywhere, ANYWHERE)):
                for center in centers[random.integers(len(centers), size=count)]:
                    images.append(_patch(gray, center))
                    masks.append(_patch((mask > 0).astype(np.uint8), center))
                    names.append(name)
        if not names:
            raise ValueError(f"{source} holds none of the cases lung_{numbers[0]:03d}, lung_{numbers[1]:03d}, ...")
        arrays |= {
            f"{part}_images": np.stack(images),
            f"{part}_masks": np.stack(masks),
            f"{part}_cases": np.array(names),
        }
    folder.mkdir(parents=True)
    np.savez_compressed(folder / "lung_patches_48.npz", **arrays)


def _patch(volume: np.ndarray, center: np.ndarray) -> np.ndarray:
    """The axial patch around a voxel (front up, the patient's right on the left), 0 outside the volume."""
    padded = np.pad(volume[center[0]], SIDE // 2)
    return padded[center[1] : center[1] + SIDE, center[2] : center[2] + SIDE][::-1, ::-1]


if __name__ == "__main__":
    run(make, __file__, __doc__)
