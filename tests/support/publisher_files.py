"""Small files laid out as publishers lay out their sets, for tests of readers and makers."""

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image


def write_isic(folder: Path, names: dict[str, list[str]], masks: bool = True) -> None:
    """ISIC 2017: `names` by word ("Training"); the first is a nevus, then melanoma, seborrheic keratosis, nevus, ...

    Pictures are 60 x 40 pixels, red by their position in the list, with the lesion in the left half.
    """
    for word, ids in names.items():
        data, truth = folder / f"ISIC-2017_{word}_Data", folder / f"ISIC-2017_{word}_Part1_GroundTruth"
        data.mkdir(parents=True)
        truth.mkdir()
        for number, name in enumerate(ids):
            pixels = np.zeros((40, 60, 3), np.uint8)
            pixels[..., 0] = 20 * number
            Image.fromarray(pixels).save(data / f"{name}.jpg", quality=95)
            Image.fromarray(pixels).save(data / f"{name}_superpixels.png")
            mask = np.zeros((40, 60), np.uint8)
            mask[:, :30] = 255
            if masks:
                Image.fromarray(mask).save(truth / f"{name}_segmentation.png")
        rows = [[name, f"{float(n % 3 == 1)}", f"{float(n % 3 == 2)}"] for n, name in enumerate(ids)]
        table = folder / f"ISIC-2017_{word}_Part3_GroundTruth.csv"
        write_csv(table, [["image_id", "melanoma", "seborrheic_keratosis"], *rows])
        people = [[name, 40 + n, "female"] for n, name in enumerate(ids)]
        write_csv(data / f"ISIC-2017_{word}_Data_metadata.csv", [["image_id", "age_approximate", "sex"], *people])


def write_nih(folder: Path, findings: dict[str, str], missing: tuple[str, ...] = (), side: int = 128) -> None:
    """ChestX-ray14: findings by file name; films of `side` pixels in two folders, gray by their position."""
    rows = [[name, text, 0, int(name[:8]), 50, "F", "PA", 2048, 2500, 0.1, 0.1] for name, text in findings.items()]
    start = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position"
    header = f"{start},OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]".split(",")
    write_csv(folder / "Data_Entry_2017_v2020.csv", [header, *rows])
    for number, name in enumerate(findings):
        path = folder / f"images_{number % 2 + 1:03d}" / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name not in missing:
            Image.fromarray(np.full((side, side), 10 * number, np.uint8)).save(path)


def write_mednist(folder: Path, count: int) -> None:
    """MedNIST: `count` pictures of each class, as gray as their class (in steps of 40)."""
    for kind, name in enumerate(("AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT")):
        (folder / "MedNIST" / name).mkdir(parents=True)
        for number in range(count):
            picture = Image.fromarray(np.full((64, 64), 40 * kind, np.uint8))
            picture.save(folder / "MedNIST" / name / f"{number:06d}.jpeg")


def write_task(
    folder: Path, labels: tuple[str, ...], cases: dict[str, tuple[np.ndarray, np.ndarray]], mm: float
) -> None:
    """A task of the Decathlon: CT volumes and label maps in the order right, front, up, with voxels of `mm`."""
    for name, (image, mask) in cases.items():
        for kind, array in (("imagesTr", image.astype(np.int16)), ("labelsTr", mask.astype(np.uint8))):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(array, np.diag([mm, mm, mm, 1.0])), folder / kind / f"{name}.nii.gz")
    about = {
        "name": folder.name,
        "modality": {"0": "CT"},
        "labels": {str(number): label for number, label in enumerate(labels)},
        "training": [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in cases],
    }
    (folder / "dataset.json").write_text(json.dumps(about))


def write_csv(path: Path, rows: list[list]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
