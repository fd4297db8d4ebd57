"""Real sets of pictures beside MedMNIST, and what is known about each."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from medlab.data.files import read_archive
from medlab.data.images import ImageSet, Info
from medlab.data.listing import Listing
from medlab.data.medmnist import channels_first
from medlab.data.pictures import array_reader, codes, column, picture_reader, read_table
from medlab.data.png import load_png_folder

BCCD_SPLITS = {"train": 934, "val": 388, "test": 313}
BLOCK = 40  # file numbers; a patient of `brain_tumor_t1` has about 13
BYTES = "0 = pixel value 0, 1 = pixel value 255"
SOFT_TISSUE = "0 = 0 HU or less, 1 = 255 HU or more"
DECATHLON = "Antonelli et al., Nature Communications 13:4128, 2022"

NUCLEI = Info(
    name="nuclei",
    modality="fluorescence microscopy",
    task="segmentation",
    classes=("background", "nucleus"),
    license="CC0",
    citation="Caicedo et al., Nature Methods 16:1247-1253, 2019 (BBBC038)",
    unit=f"{BYTES}; many images are very dark",
    note="No patient ids: every image counts as its own patient, though several come from one experiment.",
)
BCCD = Info(
    name="bccd",
    modality="blood smear microscopy",
    task="multi-class",
    classes=("red blood cell", "white blood cell", "platelets"),
    license="MIT",
    citation="Shenggan, BCCD Dataset, 2017 (images and annotations: cosmicad, akshaylamba)",
    unit=BYTES,
    note="Crops around annotated cells; a few are mislabeled. Every crop counts as its own patient, but no smear is "
    "in two of the official splits.",
)
ISIC2017 = Info(
    name="isic2017",
    modality="dermatoscopy",
    task="multi-class",
    classes=("nevus", "melanoma", "seborrheic keratosis"),
    license="CC0",
    citation="Codella et al., Skin lesion analysis toward melanoma detection, arXiv:1710.05006, 2017",
    unit=BYTES,
    note="No ids of patients or lesions: every image counts as its own patient, and a lesion may appear twice. The "
    "publisher's train and validation images (150 of them, too few to test on) are one set here, drawn anew. JPEG, "
    "squeezed to squares by the source.",
)
ISIC2017_MASKS = replace(ISIC2017, name="isic2017_masks", task="segmentation", classes=("background", "lesion"))
MEDNIST = Info(
    name="mednist",
    modality="CT, MR, X-ray",
    task="multi-class",
    classes=("abdomen CT", "breast MR", "chest X-ray", "chest CT", "hand X-ray", "head CT"),
    license="CC BY-SA 4.0",
    citation="MedNIST, B. J. Erickson, Mayo Clinic; images of TCIA, the RSNA Bone Age Challenge and the NIH",
    unit=BYTES,
    note="No patient ids: every image counts as its own patient. Neighboring files are slices of one patient, so train "
    "is the first 70 % of each class's files, and 50 files are left out before val and test: some leakage may remain.",
)
PANCREAS_CT = Info(
    name="pancreas_ct",
    modality="CT",
    task="segmentation",
    classes=("background", "pancreas"),
    license="CC BY 3.0",
    citation="Roth et al., Data from Pancreas-CT, TCIA, 2016, doi 10.7937/K9/TCIA.2016.tNB1kqBU; Roth et al., MICCAI "
    "2015; Clark et al., Journal of Digital Imaging 26:1045, 2013",
    unit=f"{SOFT_TISSUE}; air and fat are black",
    note="A few axial slices of each patient, all with pancreas, front up, the liver on the left; they were JPEG once.",
)
LIVER_CT = Info(
    name="liver_ct",
    modality="CT",
    task="segmentation",
    classes=("background", "liver or lesion"),
    license="CC BY-SA 4.0",
    citation=f"{DECATHLON}; Bilic et al., LiTS, Medical Image Analysis 84:102680, 2023",
    unit=f"{SOFT_TISSUE}; air and fat are black",
    note="Liver and its lesions are one mask. A few axial slices of each volume, the liver on the left; JPEG. Ids are "
    "those of volumes, in the order of the source's files: whether two are of one patient is not known.",
)
LUNG_CT_PATCHES = Info(
    name="lung_ct_patches",
    modality="CT",
    task="segmentation",
    classes=("background", "tumor"),
    license="CC BY-SA 4.0",
    citation=DECATHLON,
    unit="0 and 1 are the ends of a lung window, whose HU are not published",
    note="Ten patches of 96 mm, 2 mm a pixel, of each case; most hold tumor. The source gives blocks of ten patches in "
    "the order of its list of cases: which case a patch is from is very likely, not certain. It does not say how they "
    "are turned.",
)
NIH_CHESTXRAY = Info(
    name="nih_chestxray",
    modality="X-ray",
    task="multi-class",
    classes=("no finding", "pneumonia"),
    license="no restrictions; acknowledge the NIH Clinical Center",
    citation="Wang et al., ChestX-ray8, CVPR 2017; data provider: NIH Clinical Center",
    unit=BYTES,
    note="Adults, another hospital than that of PneumoniaMNIST. Labels were mined from reports, with errors. Some "
    "patients have films of both classes, and one film may be there twice.",
)
BRAIN_TUMOR_T1 = Info(
    name="brain_tumor_t1",
    modality="MR",
    task="multi-class",
    classes=("meningioma", "glioma", "pituitary tumor"),
    license="CC BY 4.0",
    citation="Cheng, brain tumor dataset, figshare, 2017, doi 10.6084/m9.figshare.1512427.v5; Cheng et al., PLoS ONE "
    "10:e0140381, 2015",
    unit=BYTES,
    note=f"Contrast-enhanced T1: axial, coronal and sagittal slices, JPEG. No patient ids: slices of one patient have "
    f"neighboring numbers, so each block of {BLOCK} numbers counts as a patient; a patient at the border of two blocks "
    "may be in two splits.",
)


def read_nuclei(folder: Path, size: int) -> ImageSet:
    """Read the nuclei of BBBC038."""
    return load_png_folder(folder / "images", folder / "masks", NUCLEI)


def read_bccd(file: Path, size: int) -> ImageSet:
    """Read the crops of BCCD."""
    rows = np.arange(sum(BCCD_SPLITS.values()))
    images, targets, published_split = read_archive(file, BCCD_SPLITS, (28, 28, 3), 1, rows)
    pixels = channels_first(images, 3).contiguous().float().div_(255)
    return ImageSet(pixels, targets[:, 0], rows, BCCD, published_split)


def list_isic2017(folder: Path, size: int, info: Info = ISIC2017) -> Listing:
    """List the lesions of ISIC 2017, with their classes or their masks by the task of `info`.

    Files: ``labels.csv``, ``images/SPLIT/ID.jpg`` and ``masks/SPLIT/ID.png``.
    """
    table = read_table(folder / "labels.csv", ("image_id", "split", "class"))
    masks = "masks" if info.task == "segmentation" else None
    names = (table["split"] + "/" + table["image_id"]).tolist()
    classes = None if masks else codes(table["class"].str.replace("_", " "), info.classes)
    return Listing(info, table["image_id"], picture_reader(folder, names, size, "RGB", ".jpg", masks), classes)


def list_mednist(folder: Path, size: int) -> Listing:
    """List MedNIST, ``mednist_SIZE.npz``, with its split by the order of files."""
    path = folder / f"mednist_{size}.npz"
    splits = ("train", "val", "test")
    read, counts = array_reader(path, size, [f"{split}_images" for split in splits])
    classes = column(path, *(f"{split}_labels" for split in splits))
    return Listing(MEDNIST, np.arange(sum(counts)), read, classes, np.repeat(splits, counts))


def list_pancreas_ct(folder: Path, size: int) -> Listing:
    """List the slices of Pancreas-CT: ``slices.csv``, ``images/NAME.png``, ``masks/NAME.png``."""
    table = read_table(folder / "slices.csv", ("name", "patient"))
    return Listing(
        PANCREAS_CT, table["patient"], picture_reader(folder, table["name"].tolist(), size, "L", ".png", "masks")
    )


def list_liver_ct(folder: Path, size: int) -> Listing:
    """List the slices of Decathlon task 3: ``slices.csv``, ``images/NAME.jpg``, ``masks/NAME.png``."""
    table = read_table(folder / "slices.csv", ("name", "volume"))
    return Listing(
        LIVER_CT, table["volume"], picture_reader(folder, table["name"].tolist(), size, "L", ".jpg", "masks")
    )


def list_lung_ct_patches(path: Path, size: int) -> Listing:
    """List the patches of Decathlon task 6; its parts "val" and "test" are one set here, to be split by case."""
    read, _ = array_reader(path, size, ("val_images", "test_images"), ("val_masks", "test_masks"))
    return Listing(LUNG_CT_PATCHES, column(path, "val_cases", "test_cases"), read)


def list_nih_chestxray(path: Path, size: int) -> Listing:
    """List the films of the NIH."""
    read, _ = array_reader(path, size, ("images",))
    return Listing(NIH_CHESTXRAY, column(path, "patients"), read, column(path, "labels"))


def list_brain_tumor_t1(path: Path, size: int) -> Listing:
    """List the slices of the figshare set, with blocks of file numbers for patients."""
    read, _ = array_reader(path, size, ("images",))
    blocks = [f"block {number // BLOCK:02d}" for number in column(path, "source_number")]
    return Listing(BRAIN_TUMOR_T1, blocks, read, column(path, "labels"))
