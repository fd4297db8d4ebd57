"""Readers of real sets, on small files in the layout of each kind: pictures with a table, arrays, NIfTI scans."""

import io
import zipfile

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from medlab import limits
from medlab.data import archives, listing, load, pictures, read_volume
from medlab.data.scans import up_to_percentile

SPLITS = ("train", "val", "test")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDLAB_DATA", str(tmp_path))
    monkeypatch.setenv("MEDLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def isic2017(folder, n=12, side=32):
    """Picture k has gray value 10 k, and a lesion of 4 + k pixels in each of its 8 middle columns."""
    lines = ["image_id,split,class,age"]
    for k in range(n):
        split, kind = ("train", "val")[k % 4 == 3], ("nevus", "melanoma", "seborrheic_keratosis")[k % 3]
        lines.append(f"ISIC_{k:03d},{split},{kind},50")
        mask = np.zeros((side, side), np.uint8)
        mask[: 4 + k, 8:16] = 1
        write(folder / f"isic2017/images/{split}/ISIC_{k:03d}.jpg", np.full((side, side, 3), 10 * k, np.uint8))
        write(folder / f"isic2017/masks/{split}/ISIC_{k:03d}.png", mask.astype(bool))
    (folder / "isic2017/labels.csv").write_text("\n".join(lines) + "\n")


def numbers(data):
    """Which pictures of `isic2017` these are."""
    return (data.images.mean((1, 2, 3)) * 25.5).round().int().tolist()


def test_only_the_pictures_asked_for_are_read(folder, monkeypatch):
    isic2017(folder)
    whole = load("isic2017", size=16)
    assert whole.images.shape == (12, 3, 16, 16) and whole.images.dtype == torch.float32
    assert numbers(whole) == list(range(12)) and whole.targets.tolist() == [0, 1, 2] * 4
    assert whole.patients.tolist() == [f"ISIC_{k:03d}" for k in range(12)]
    opened, read = [], pictures.open_picture
    monkeypatch.setattr(pictures, "open_picture", lambda path, *rest: opened.append(path.stem) or read(path, *rest))
    for asked in ({"n": 3}, {"patients": 3}, {"split": "test", "n": 2}, {"split": "val"}):
        opened.clear()
        some = load("isic2017", size=16, **asked)
        assert opened == some.patients.tolist() and len(some) < 4
        assert numbers(some) == [int(name[-3:]) for name in some.patients]
        assert some.targets.tolist() == [number % 3 for number in numbers(some)]
    parts = [load("isic2017", split, size=16).patients.tolist() for split in SPLITS]
    assert sorted(sum(parts, [])) == whole.patients.tolist()


def test_masks_are_binary_and_a_pixel_belongs_to_its_larger_share(folder):
    isic2017(folder)
    masks = load("isic2017_masks", size=16)
    assert masks.info.classes == ("background", "lesion") and masks.targets.shape == (12, 16, 16)
    assert numbers(masks) == list(range(12))
    inside = masks.targets.sum((1, 2)) / 4  # rows, of two pixels each: the half of one counts
    assert inside.tolist() == [(5 + k) // 2 for k in range(12)]


def test_pictures_are_averaged(folder):
    stripes = np.tile(np.array([0, 200], np.uint8), (32, 16))
    for name in ("P1-01", "P2-01"):
        write(folder / f"pancreas_ct_slices/images/{name}.png", stripes)
        write(folder / f"pancreas_ct_slices/masks/{name}.png", stripes > 0)
    (folder / "pancreas_ct_slices/slices.csv").write_text("name,patient\nP1-01,P1\nP2-01,P2\n")
    data = load("pancreas_ct", size=16)
    assert data.patients.tolist() == ["P1", "P2"]
    assert torch.allclose(data.images, torch.tensor(100 / 255))
    same = load("pancreas_ct", size=32)
    assert torch.equal(same.images[0, 0], torch.from_numpy(stripes / np.float32(255)))
    assert torch.equal(same.targets[0], torch.from_numpy(stripes > 0).to(torch.uint8))


@pytest.mark.parametrize(
    "name, old, new, error, message",
    [
        ("isic2017", "melanoma", "melanom", ValueError, "targets hold 'melanom', not among the classes .*'melanoma'"),
        ("isic2017", "ISIC_001", "../../x", ValueError, "names a file outside the folder .*; do not trust it"),
        ("isic2017", "ISIC_001", "ISIC_999", FileNotFoundError, "ISIC_999.jpg is missing: the set is not complete"),
        ("isic2017", "image_id", "image", ValueError, "labels.csv has no column image_id; it has image, split"),
    ],
)
def test_tables_that_do_not_fit_the_folder(folder, name, old, new, error, message):
    isic2017(folder)
    path = folder / "isic2017/labels.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(error, match=message):
        load(name, size=16)


def test_pictures_that_cannot_be_read(folder, monkeypatch):
    isic2017(folder)
    path = folder / "isic2017/images/train/ISIC_001.jpg"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(ValueError, match="ISIC_001.jpg is truncated or damaged"):
        load("isic2017", size=16)
    write(path, np.zeros((32, 48, 3), np.uint8))
    with pytest.raises(ValueError, match="is 32 x 48, expected a square"):
        load("isic2017", size=16)
    Image.new("P", (32, 32)).save(path, format="PNG")
    with pytest.raises(ValueError, match="not an 8-bit image .mode P.: convert it to 1, L, RGB"):
        load("isic2017", size=16)
    monkeypatch.setitem(limits._LIMITS, "picture_side", 30)
    with pytest.raises(ValueError, match="is 32 x 32 pixels, allowed are 30"):
        load("isic2017", size=16)


def test_arrays_of_one_archive(folder):
    (folder / "nih_chestxray").mkdir()
    path = folder / "nih_chestxray/nih_cxr_96.npz"
    images = np.repeat(np.arange(10, dtype=np.uint8), 96 * 96).reshape(10, 96, 96)
    patients = np.array([f"{k // 2:08d}" for k in range(10)])
    labels = (np.arange(10, dtype=np.uint8) // 5)[:, None]
    np.savez_compressed(path, images=images, labels=labels, patients=patients)
    data = load("nih_chestxray", size=28)
    assert (data.images.mean((1, 2, 3)) * 255).round().int().tolist() == list(range(10))
    assert data.targets.tolist() == [0] * 5 + [1] * 5 and data.patients.tolist() == patients.tolist()
    some = load("nih_chestxray", n=4)
    assert torch.equal(
        some.images, load("nih_chestxray")[np.isin(images[:, 0, 0], some.images[:, 0, 0, 0] * 255)].images
    )
    np.savez(path, images=images, labels=labels, patients=patients.astype(object))
    with pytest.raises(ValueError, match="nih_cxr_96.npz: .* is no plain array .a pickled object"):
        load("nih_chestxray")
    np.savez(path, images=images[:, :, :90], labels=labels, patients=patients)
    with pytest.raises(ValueError, match="must hold square images"):
        load("nih_chestxray")


def test_a_damaged_archive_is_named(tmp_path):
    path = tmp_path / "small.npz"
    np.savez(path, labels=np.arange(3), files=np.array(["a", "b"]))
    assert archives.column(path, "labels", "labels").tolist() == [0, 1, 2] * 2
    assert archives.column(path, "files").tolist() == ["a", "b"]
    whole = path.read_bytes()
    listed = whole.index(b"PK\x01\x02")  # the entry of the first array: version, flags, kind of compression
    for place in (0, 30, listed + 6, listed + 10):
        damaged = bytearray(whole)
        damaged[place : place + 30] = bytes([200]) * 30
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="small.npz is truncated or damaged"):
            archives.column(path, "labels")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("labels.npy", "a text")
    with pytest.raises(ValueError, match="small.npz: labels is no plain array"):
        archives.column(path, "labels")


def test_an_array_that_claims_to_be_huge_is_refused_before_it_is_read(folder):
    (folder / "nih_chestxray").mkdir()
    path = folder / "nih_chestxray/nih_cxr_96.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 96, 96)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", header.getvalue())
    with pytest.raises(
        ValueError,
        match=r"images claims uint8 \(1000000000, 96, 96\), 9,216,000,000,000 bytes, allowed are 2,147,483,648",
    ):
        load("nih_chestxray")


def test_mednist_keeps_its_split_and_has_two_sizes(folder):
    (folder / "mednist").mkdir()
    arrays = {}
    for split, n, value in zip(SPLITS, (4, 2, 3), (10, 20, 30)):
        arrays[f"{split}_images"] = np.full((n, 28, 28), value, np.uint8)
        arrays[f"{split}_labels"] = np.arange(n, dtype=np.uint8)[:, None]
    np.savez(folder / "mednist/mednist_28.npz", **arrays)
    assert [len(load("mednist", split, size=28)) for split in SPLITS] == [4, 2, 3]
    test = load("mednist", "test", size=28)
    assert (test.images * 255).unique().round().tolist() == [30] and test.targets.tolist() == [0, 1, 2]
    with pytest.raises(
        ConnectionError, match="fetch https.* and put it into .*/mednist"
    ):  # the publisher's, of 64 pixels
        load("mednist")


def test_blocks_of_file_numbers_stand_in_for_patients(folder):
    (folder / "brain_tumor_figshare").mkdir()
    source = np.array([1, 39, 40, 79, 80, 400])
    arrays = {"images": np.zeros((6, 128, 128), np.uint8), "labels": np.zeros((6, 1), np.uint8)}
    np.savez(folder / "brain_tumor_figshare/brain_tumor_128.npz", **arrays, source_number=source)
    patients = load("brain_tumor_t1", size=16).patients.tolist()
    assert patients == ["block 00", "block 00", "block 01", "block 01", "block 02", "block 10"]


def test_masks_of_an_archive(folder):
    (folder / "lung_ct_patches_msd").mkdir()
    masks = np.zeros((2, 48, 48), np.uint8)
    masks[1, :10] = 1
    arrays = {f"{part}_images": np.full((2, 48, 48), 51, np.uint8) for part in ("val", "test")}
    arrays |= {
        "val_masks": masks,
        "test_masks": masks,
        "val_cases": np.array(["a", "a"]),
        "test_cases": np.array(["b", "c"]),
    }
    np.savez(folder / "lung_ct_patches_msd/lung_patches_48.npz", **arrays)
    data = load("lung_ct_patches")
    assert data.patients.tolist() == ["a", "a", "b", "c"] and torch.allclose(data.images, torch.tensor(0.2))
    assert data.targets.sum((1, 2)).tolist() == [0, 480, 0, 480]


def scan(path, voxels, spacing, axes="RAS"):
    """Write voxels, indexed from left to right, from the back to the front, from the feet up, with these axes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(voxels, np.diag([*spacing, 1.0]))
    turn = nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(axes))
    nib.save(image.as_reoriented(turn), path)


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PSR"])
def test_slices_of_scans(folder, axes):
    """A tumor of 40 x 60 mm, in front and on the patient's right; of SUV 5, and 20 in its upper slice."""
    for number in range(4):
        suv, mask = np.zeros((2, 24, 40, 6), np.float32)
        mask[14:22, 28:40, 2:4] = 1
        suv[mask > 0] = 5
        suv[..., 3] *= 4
        for name, voxels in (("image", suv), ("mask", mask.astype(np.uint8))):
            scan(folder / f"sts_pet_ct_mr/STS_{number}/PET_{name}.nii.gz", voxels, (5, 5, 3), axes)
    data = load("sts_pet", size=64)
    assert data.images.shape == (24, 1, 64, 64) and len(load("sts_pet", "train")) == 12
    assert data.patients.tolist() == sorted([f"STS_{number}" for number in range(4)] * 6)
    assert data.targets[:6].sum((1, 2)).tolist() == [0, 0, 96, 96, 0, 0]
    assert torch.equal(data.targets[2], (data.images[2, 0] > 0.4).to(torch.uint8))
    assert data.images[2].max() == 0.5 and data.images[3].max() == 1
    rows, columns = data.targets[2].nonzero().T  # the picture is 320 mm wide; the scan fills 200 x 120 mm of it
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (12, 23, 22, 29)
    assert torch.equal(
        load("sts_pet", n=5, seed=2).images, data[np.sort(np.random.default_rng(2).choice(24, 5, False))].images
    )
    coarse = load("sts_pet", size=32)
    assert coarse.targets[2].sum() == 24
    volume, labels = read_volume("sts_pet", "STS_1")
    assert volume.voxels.max() == 20 and volume.spacing == (3, 5, 5) and labels.sum() == 192
    assert labels[3, 30, 16] == 1 and volume.voxels[3, 30, 16] == 20
    assert np.allclose(np.diag(volume.affine), (5, 5, 3, 1))


def gliomas(folder, labels=(0, 1, 2, 4)):
    """Two patients: a brain of 200 x 100 mm in slices 1 and 2 of 4, a strip of it for each label."""
    for patient in ("A", "B"):
        place = folder / f"tcga_lgg_mr/{patient}"
        brain, mask = np.zeros((60, 60, 4), np.float32), np.zeros((60, 60, 4), np.uint8)
        brain[5:55, 10:35, 1:3] = 100
        for k, label in enumerate(labels):
            mask[5 + 10 * k : 15 + 10 * k, 10:35, 1] = label
        for k, sequence in enumerate(("t1", "t1c", "t2", "fla")):
            scan(place / f"{patient}_{sequence}.nii.gz", brain * (k + 1), (4, 4, 4))
        scan(place / f"{patient}_seg_fused.nii.gz", mask, (4, 4, 4))


def test_channels_labels_and_slices_with_brain(folder):
    gliomas(folder)
    data = load("tcga_lgg", size=64)
    assert data.images.shape == (4, 4, 64, 64) and data.patients.tolist() == ["A", "A", "B", "B"]
    assert torch.allclose(data.images.amax((2, 3)), torch.ones(4, 4))  # each sequence on its own scale
    counts = np.array(list(data[:1].counts().values())) / (64 / 60) ** 2
    assert np.allclose(counts[1:], 250, rtol=0.1) and data[1:2].counts()["edema"] == 0
    assert read_volume("tcga_lgg", "B_fla")[0].voxels.max() == 400
    assert np.unique(read_volume("tcga_lgg", "B_fla")[1]).tolist() == [0, 1, 2, 4]
    with pytest.raises(
        ValueError, match="tcga_lgg has only 2 patients, too few for training, validation and test: load more"
    ):
        load("tcga_lgg", "train")


def test_scans_that_do_not_fit(folder):
    gliomas(folder, labels=(0, 1, 2, 3))
    with pytest.raises(ValueError, match="A_seg_fused.nii.gz holds the label 3; known are 0, 1, 2, 4"):
        load("tcga_lgg")
    gliomas(folder)
    scan(folder / "tcga_lgg_mr/B/B_t2.nii.gz", np.ones((60, 60, 5), np.float32), (4, 4, 4))
    with pytest.raises(ValueError, match="B_t1.nii.gz and the other images of B lie on unlike grids"):
        load("tcga_lgg")
    scan(folder / "lung_ct_tcia/P_1.nii.gz", np.full((60, 60, 3), 500, np.float32), (4, 4, 4))
    with pytest.raises(ValueError, match="P_1.nii.gz is constant in its window"):
        load("lung_ct")
    (folder / "sts_pet_ct_mr").mkdir()
    with pytest.raises(ValueError, match="sts_pet: the folder holds no scan"):
        load("sts_pet")


def test_slices_without_brain_are_left_out(folder):
    head, regions = np.ones((60, 60, 8), np.float32), np.zeros((60, 60, 8), np.uint8)
    head[0] = 0
    regions[10:50, 10:50, 2:6] = 47
    regions[10:12, 10:12, 7] = 47
    for subject in ("IXI001", "IXI002"):
        scan(folder / f"ixi_t1_2mm/T1/{subject}_T1.nii.gz", head, (4, 4, 4))
        scan(folder / f"ixi_t1_2mm/DLMUSE/{subject}_DLMUSE.nii.gz", regions, (4, 4, 4))
    data = load("ixi")
    assert data.patients.tolist() == ["IXI001"] * 4 + ["IXI002"] * 4 and data.counts() == {"healthy brain": 8}
    assert np.unique(read_volume("ixi", "IXI002")[1]).tolist() == [0, 47]


def test_a_scale_by_percentile_leaves_the_background_out():
    voxels = np.array([0] * 1000 + list(range(1, 1001)), np.float32)
    scaled = up_to_percentile(voxels)
    assert scaled[999] == 0 and scaled[1495] == pytest.approx(496 / 995, abs=1e-3) and (scaled == 1).sum() == 5


def test_volumes_that_are_not_there(folder):
    with pytest.raises(ValueError, match="unknown set of volumes 'ixy'. Did you mean 'ixi'"):
        read_volume("ixy", "a")
    for name, place in (("lung_ct", "lung_ct_tcia"), ("mni152", "mni152")):
        with pytest.raises(FileNotFoundError, match=rf"set MEDLAB_DATA to a folder that holds {place} \(data/makers"):
            read_volume(name, "a")
    scan(folder / "lung_ct_tcia/P_soft.nii.gz", np.zeros((4, 4, 4), np.float32), (1, 1, 1))
    with pytest.raises(ValueError, match="unknown case of lung_ct 'P_sof'. Did you mean 'P_soft'. Allowed: P_soft"):
        read_volume("lung_ct", "P_sof")
    assert read_volume("lung_ct", "P_soft")[1] is None


@pytest.mark.parametrize("name", ["isic2017", "isic2017_masks", "tcga_lgg"])
def test_a_set_above_the_budget_is_read_in_parts_and_mapped_from_disk(folder, monkeypatch, name):
    isic2017(folder)
    gliomas(folder)
    small = load(name, size=16)
    monkeypatch.setattr(archives, "BUDGET", 3 * small.images[0].nbytes)
    monkeypatch.setattr(listing, "BUDGET", 8 * small.images[0].nbytes)  # 2 images a part
    monkeypatch.setattr(listing, "FIRST", 1)
    large = load(name, size=16)
    assert large.images.dtype == torch.uint8 and small.images.dtype == torch.float32
    for (left, targets), (right, same) in zip(large.batches(5), small.batches(5), strict=True):
        assert (left - right).abs().max() <= 0.5 / 255 + 1e-6 and torch.equal(targets, same)
    if name == "tcga_lgg":
        np.testing.assert_array_equal([grid.affine for grid in large.grids], [grid.affine for grid in small.grids])
