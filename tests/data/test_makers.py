"""The makers, on small files laid out as those of the publishers; those that copy files also on ours."""

import hashlib
import importlib
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image
from project import ROOT
from publisher_files import write_isic, write_mednist, write_nih, write_task
from pydicom.data import get_testdata_file

from medlab.data import files, load_png_folder

MAKERS = ROOT / "data" / "makers"
SCRIPTS = sorted(path.stem for path in MAKERS.glob("*.py") if path.stem not in ("common", "reader_study", "samples"))
needs_data = pytest.mark.skipif("MEDLAB_DATA" not in os.environ, reason="needs real images: set MEDLAB_DATA")


@pytest.fixture
def maker(monkeypatch):
    """Import a script by name."""
    monkeypatch.syspath_prepend(MAKERS)
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before & set(SCRIPTS) | {"common"}:
        sys.modules.pop(name, None)


def listed(folder: str, pattern: str) -> list[str]:
    return [Path(name).stem for name in files.hashes(folder) if name.startswith(pattern)]


def test_isic2017_takes_the_listed_images_with_masks_and_table(maker, tmp_path):
    train, val = listed("isic2017", "images/train")[:5], listed("isic2017", "images/val")[:2]
    write_isic(tmp_path / "source", {"Training": [*train, "ISIC_9999999"], "Validation": val})
    maker("isic2017").make(tmp_path / "source", tmp_path / "isic2017")
    table = pd.read_csv(tmp_path / "isic2017/labels.csv")
    assert table["image_id"].tolist() == [*train, *val] and table["split"].tolist() == ["train"] * 5 + ["val"] * 2
    kinds = ["nevus", "melanoma", "seborrheic_keratosis", "nevus", "melanoma", "nevus", "melanoma"]
    assert table["class"].tolist() == kinds and table["melanoma"].tolist() == [int(k == "melanoma") for k in kinds]
    assert table["age"].tolist() == [40, 41, 42, 43, 44, 40, 41] and set(table["mask_fraction"]) == {0.5}
    with Image.open(tmp_path / f"isic2017/images/train/{train[3]}.jpg") as image:
        assert image.size == (256, 256) and abs(image.getpixel((128, 128))[0] - 60) < 4
    with Image.open(tmp_path / f"isic2017/masks/train/{train[3]}.png") as mask:
        assert mask.mode == "1" and np.asarray(mask)[:, :128].all() and not np.asarray(mask)[:, 128:].any()
    write_isic(tmp_path / "without", {"Training": train}, masks=False)
    with pytest.raises(ValueError, match=f"has no mask of {train[0]}"):
        maker("isic2017").make(tmp_path / "without", tmp_path / "again")


def test_nih_chestxray_takes_the_listed_films(maker, tmp_path):
    names = (MAKERS / "nih_chestxray.txt").read_text().split()[:4]
    findings = dict(zip(names, ["No Finding", "Pneumonia|Edema", "Mass", "Pneumonia"])) | {
        "99999999_000.png": "No Finding"
    }
    write_nih(tmp_path / "source", findings)
    maker("nih_chestxray").make(tmp_path / "source", tmp_path / "nih_chestxray")
    made = np.load(tmp_path / "nih_chestxray/nih_cxr_96.npz")
    assert made["files"].tolist() == [names[0], names[1], names[3]] and made["labels"].tolist() == [[0], [1], [1]]
    assert made["patients"].tolist() == [name[:8] for name in made["files"]]
    assert made["images"].shape == (3, 96, 96) and made["images"][:, 5, 5].tolist() == [0, 10, 30]


def test_mednist_takes_the_listed_pictures_in_their_split(maker, tmp_path):
    write_mednist(tmp_path / "source", 400)
    maker("mednist").make(tmp_path / "source", tmp_path / "mednist")
    made = np.load(tmp_path / "mednist/mednist_28.npz")
    counts = {"train": 280, "val": 10, "test": 10}  # of 400: 70 %, 15 %, 15 %, less 50 between them
    for split, count in counts.items():
        assert made[f"{split}_images"].shape == (6 * count, 28, 28)
        assert np.abs(made[f"{split}_images"][:, 0, 0] - 40.0 * made[f"{split}_labels"][:, 0]).max() < 3
    made = np.load(tmp_path / "mednist/mednist_64.npz")
    wanted = [name for name in (MAKERS / "mednist.txt").read_text().split() if int(name[-6:]) < 280]
    assert made["train_files"].tolist() == [f"{name}.jpeg" for name in wanted] and len(wanted) > 50


def test_liver_slices_keep_hounsfield_units_and_one_mask(maker, tmp_path):
    image, mask = np.full((64, 64, 20), 40), np.zeros((64, 64, 20))
    image[:8, :8], image[40:, 40:] = -1000, 300  # the back of the left, the front of the right
    mask[32:, :, 5:15], mask[40:44, 10:14, 8:12] = 1, 2
    write_task(tmp_path / "Task03_Liver", ("background", "liver", "cancer"), {"liver_7": (image, mask)}, 1.0)
    maker("liver_ct_msd").make(tmp_path / "Task03_Liver", tmp_path / "liver_ct_msd")
    table = pd.read_csv(tmp_path / "liver_ct_msd/slices.csv", dtype=str)
    assert len(table) == 5 and set(table["volume"]) == {"vol007"} and table["slice"].astype(int).between(5, 14).all()
    with Image.open(tmp_path / f"liver_ct_msd/images/{table['name'][0]}.jpg") as picture:
        gray = np.asarray(picture)
    assert (
        gray.shape == (256, 256) and gray[0, 0] > 250 and gray[-1, -1] < 5 and abs(int(gray[-1, 0]) - 40) < 4
    )  # front right is on top, left
    with Image.open(tmp_path / f"liver_ct_msd/masks/{table['name'][0]}.png") as picture:
        assert np.asarray(picture)[:, :128].all() and not np.asarray(picture)[:, 128:].any()
    assert set(table["liver_pixels"]) == {str(256 * 128)}


def test_lung_patches_show_the_tumor(maker, tmp_path):
    image, mask = np.full((60, 60, 60), -1000), np.zeros((60, 60, 60))
    image[30:34, 20:24, 10:14], mask[30:34, 20:24, 10:14] = 400, 1
    cases = {"lung_018": (image, mask), "lung_001": (image, mask), "lung_002": (image, mask)}
    write_task(tmp_path / "Task06_Lung", ("background", "cancer"), cases, 2.0)
    maker("lung_ct_patches_msd").make(tmp_path / "Task06_Lung", tmp_path / "lung_ct_patches_msd")
    made = np.load(tmp_path / "lung_ct_patches_msd/lung_patches_48.npz")
    assert set(made["val_cases"]) == {"lung_018"} and set(made["test_cases"]) == {"lung_001"}
    assert made["val_images"].shape == made["val_masks"].shape == (10, 48, 48)
    assert made["val_masks"][:9, 23, 23].all()
    np.testing.assert_array_equal(made["val_images"], 255 * made["val_masks"])


class Arrays(dict):
    """Stands in for h5py's File, which reads MATLAB's files: the arrays of an .npz with that name."""

    def __init__(self, path, mode):
        with np.load(path) as file:
            super().__init__({name.replace("__", "/"): file[name] for name in file.files})

    def __enter__(self):
        return {name: {(): array, (0, 0): array.flat[0]} for name, array in self.items()}

    def __exit__(self, *error):
        return None


def test_brain_tumors_are_upright_with_patients_boxes_and_masks(maker, tmp_path, monkeypatch):
    numbers = (MAKERS / "brain_tumor_figshare.txt").read_text().split()[:2]
    (tmp_path / "source/1-766").mkdir(parents=True)
    for number, label in zip([*numbers, "99999"], (3, 1, 2)):
        image, mask = np.zeros((512, 512), np.int16), np.zeros((512, 512), np.uint8)
        image[:128], mask[64:128, 256:512] = 1000, 1  # bright on top, the tumor right of the middle
        arrays = {"label": [[float(label)]], "PID": [[ord(letter)] for letter in f"P{number}"]}
        arrays |= {"image": image.T, "tumorMask": mask.T}  # MATLAB stores columns first
        path = tmp_path / f"source/1-766/{number}.mat"
        with path.open("wb") as file:
            np.savez(file, **{f"cjdata__{name}": array for name, array in arrays.items()})
    monkeypatch.setitem(sys.modules, "h5py", SimpleNamespace(File=Arrays))
    maker("brain_tumor_figshare").make(tmp_path / "source", tmp_path / "made")
    made = np.load(tmp_path / "made/brain_tumor_128.npz")
    assert made["source_number"].tolist() == [int(number) for number in numbers]
    assert made["labels"].tolist() == [[2], [0]] and made["patients"].tolist() == [f"P{number}" for number in numbers]
    assert made["images"].shape == made["masks"].shape == (2, 128, 128)
    assert (made["images"][:, :32] == 255).all() and not made["images"][:, 32:].any()
    assert made["masks"][:, 16:32, 64:].all() and made["masks"].sum() == 2 * 16 * 64
    np.testing.assert_allclose(made["boxes_xywh"], [[0.75, 0.1875, 0.5, 0.125]] * 2)
    with pytest.raises(ValueError, match="holds no NUMBER.mat of the list"):
        maker("brain_tumor_figshare").make(tmp_path / "made", tmp_path / "again")


def test_ixi_is_brought_to_the_grid_of_its_label_maps(maker, tmp_path, monkeypatch):
    source, name = tmp_path / "source", "IXI002-Guys-0828"
    (source / "IXI-T1").mkdir(parents=True)
    place = np.diag([2.0, 2.0, 2.0, 1.0])
    nib.save(nib.Nifti1Image(np.ones((6, 7, 8), np.uint8), place), source / "labels.nii.gz")
    heights = np.broadcast_to(np.arange(16.0), (12, 14, 16))  # each voxel of 1 mm holds its height
    turned = nib.Nifti1Image(10 * heights, np.eye(4)).as_reoriented([[2, 1], [0, -1], [1, 1]])
    nib.save(turned, source / f"IXI-T1/{name}-T1.nii.gz")
    (source / "IXI.csv").write_text('IXI_ID,"SEX_ID (1=m, 2=f)",AGE\n2,2,35.8001\n')
    listed = {f"DLMUSE/{name}_DLMUSE.nii.gz": hashlib.md5((source / "labels.nii.gz").read_bytes()).hexdigest()}
    monkeypatch.setattr(maker("common"), "hashes", lambda folder: listed)
    maker("ixi_t1_2mm").make(source, tmp_path / "ixi_t1_2mm")
    assert (tmp_path / "ixi_t1_2mm/participants.csv").read_text().split() == ["subject,age,sex", f"{name},35.80,F"]
    scan = nib.load(tmp_path / f"ixi_t1_2mm/T1/{name}_T1.nii.gz")
    assert scan.shape == (6, 7, 8) and scan.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(scan.affine, place)
    np.testing.assert_allclose(scan.get_fdata(), np.broadcast_to(20.0 * np.arange(8), (6, 7, 8)), atol=0.3)
    (source / "IXI.csv").unlink()
    with pytest.raises(ValueError, match=f"holds no {name}-T1.nii.gz, or no row 2 of IXI.csv"):
        maker("ixi_t1_2mm").make(source, tmp_path / "again/ixi_t1_2mm")


def test_nuclei_are_joined_to_one_mask(maker, tmp_path, capsys):
    names = listed("nuclei_dsb2018", "images/")[:3]
    for name in names[:2]:
        for kind, parts in (("images", [f"{name}.png"]), ("masks", ["a.png", "b.png"])):
            (tmp_path / f"source/{name}/{kind}").mkdir(parents=True)
            for number, part in enumerate(parts):
                pixels = np.zeros((256, 256), np.uint8)
                pixels[10 * number : 10 * number + 5] = 255
                picture = Image.fromarray(pixels)
                picture = picture.convert("RGBA") if kind == "images" else picture
                picture.save(tmp_path / f"source/{name}/{kind}/{part}")
    maker("nuclei_dsb2018").make(tmp_path / "source", tmp_path / "nuclei_dsb2018")
    assert f"{names[2]}.png is not there" in capsys.readouterr().out
    data = load_png_folder(tmp_path / "nuclei_dsb2018/images", tmp_path / "nuclei_dsb2018/masks")
    assert len(data) == 2 and (data.images[:, 0, :5] == 1).all() and data.images.sum() == 2 * 5 * 256
    rows = [*range(5), *range(10, 15)]
    assert data.targets[:, rows].all() and data.targets.sum() == 2 * 10 * 256
    with pytest.raises(ValueError, match="holds none of the images of the list"):
        maker("nuclei_dsb2018").make(tmp_path / "source" / names[0] / "masks", tmp_path / "again")


def write_pancreas(folder: Path, patient: str, mask: np.ndarray) -> None:
    """A series of slices, 100 HU where `mask` (slice from the feet, row, column) is 1, else air; a label beside it."""
    series = folder / "Pancreas-CT" / patient / "study" / "series"
    series.mkdir(parents=True)
    for z, part in enumerate(mask):
        slice_ = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
        slice_.ImagePositionPatient, slice_.ImageOrientationPatient = [0, 0, 2 * z], [1, 0, 0, 0, 1, 0]
        slice_.PixelData = np.where(part, 1124, 24).astype(np.int16).tobytes()
        slice_.save_as(series / f"{z}.dcm")
    label = mask[:, ::-1].T.astype(np.uint8)  # rows turned over, and no place in the scanner
    nib.save(nib.Nifti1Image(label, np.eye(4)), folder / f"label{patient[-4:]}.nii.gz")


def test_pancreas_labels_are_turned_onto_the_scan(maker, tmp_path, capsys):
    patients = sorted({name.partition("-")[0] for name in listed("pancreas_ct_slices", "images")})
    mask = np.zeros((6, 128, 128), bool)
    mask[2:, 20:40, 70:100] = True
    write_pancreas(tmp_path / "source", patients[1], mask)
    maker("pancreas_ct_slices").make(tmp_path / "source", tmp_path / "pancreas_ct_slices")
    assert f"{patients[0]} is left out: 0 folders of DICOM files, no label" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "pancreas_ct_slices/slices.csv")
    assert set(table["patient"]) == {patients[1]} and len(table) == 4 and table["slice"].between(2, 5).all()
    assert set(table["mask_pixels_512"]) == {600} and set(table["mask_pixels_256"]) == {2400}
    for name in table["name"]:
        image = np.asarray(Image.open(tmp_path / f"pancreas_ct_slices/images/{name}.png"))
        drawn = np.asarray(Image.open(tmp_path / f"pancreas_ct_slices/masks/{name}.png"))
        np.testing.assert_array_equal(drawn, image > 50)
        assert drawn[40:80, 140:200].all()  # rows and columns of the DICOM slices, twice as large


def test_files_are_compared_with_the_list_and_a_list_is_written(maker, tmp_path, monkeypatch, capsys):
    common = maker("common")
    monkeypatch.setattr(common, "LISTS", tmp_path)
    monkeypatch.setattr(files, "LISTS", tmp_path)
    files.hashes.cache_clear()
    for name in ("a.txt", "b/c.txt", "b/d.txt", "README.md"):
        (tmp_path / "out/tiny" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out/tiny" / name).write_text(name)
    common.write_list(tmp_path / "out/tiny")
    first = f"{hashlib.md5(b'a.txt').hexdigest()}  a.txt"
    assert (tmp_path / "tiny.md5").read_text().splitlines()[0] == first and len(files.hashes("tiny")) == 3
    (tmp_path / "out/tiny/b/c.txt").write_text("other")
    (tmp_path / "out/tiny/b/d.txt").unlink()
    line = (
        "tiny: 1 of 3 files are those of the list; 1 differ, the first is b/c.txt; 1 are missing, the first is b/d.txt"
    )
    assert common.compare(tmp_path / "out/tiny") == line
    monkeypatch.setattr(sys, "argv", ["tiny.py", "nowhere", str(tmp_path / "out"), "--check"])
    common.run(None, "tiny.py", "")
    assert capsys.readouterr().out.strip() == line
    monkeypatch.setattr(sys, "argv", sys.argv[:-1])
    with pytest.raises(SystemExit, match="tiny is there already: move it away first"):
        common.run(None, "tiny.py", "")
    files.hashes.cache_clear()


@needs_data
@pytest.mark.parametrize("folder", ["sts_pet_ct_mr", "tcga_lgg_mr", "hippocampus_msd"])
def test_files_that_are_copied_are_found_by_their_hash(maker, tmp_path, folder):
    script = maker(folder)
    getattr(script, "make", script.collect)(Path(os.environ["MEDLAB_DATA"]) / folder, tmp_path / folder)
    count = len(files.hashes(folder))
    assert maker("common").compare(tmp_path / folder) == f"{folder}: {count} of {count} files are those of the list"


@needs_data
@pytest.mark.parametrize("folder", sorted(path.stem for path in files.LISTS.glob("*.md5")))
def test_the_lists_are_those_of_our_folders(maker, folder):
    count = len(files.hashes(folder))
    line = f"{folder}: {count} of {count} files are those of the list"
    assert maker("common").compare(Path(os.environ["MEDLAB_DATA"]) / folder) == line


def test_every_folder_of_the_lists_has_a_maker_or_the_readme_says_why_not():
    text = (MAKERS / "README.md").read_text()
    for path in files.LISTS.glob("*.md5"):
        row = f"| `{path.stem}` | [{path.stem}.py]({path.stem}.py)"
        assert row in text if path.stem in SCRIPTS else f"- `{path.stem}`:" in text
    assert set(SCRIPTS) <= {path.stem for path in files.LISTS.glob("*.md5")}
