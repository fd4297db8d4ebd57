"""`medlab predict`: from files to a table, or to masks on the grids of the files."""

import io

import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import pytest
import torch
from PIL import Image
from pydicom.data import get_testdata_file
from torch import nn
from typer.testing import CliRunner

from medlab.cli import app
from medlab.data import Info, load_dicom, load_dicom_series, pictures, slice_set, to_nifti
from medlab.data.png import load_png_folder
from medlab.data.volumes import Case
from medlab.models import UNet, save_model
from medlab.models.standardize import Standardize
from medlab.train import fit, predict
from medlab.train.predict_command import predict_files, predict_to

CASE = "0 = 0.5th, 1 = 99.5th percentile of the case; padding is 0"
CARD = {"name": "net", "channels": 1, "size": [16, 16], "unit": "0 = darkest, 1 = brightest"}


class Bright(nn.Conv2d):
    """Calls a pixel 1 where it is above 0.5."""

    def __init__(self, **card) -> None:
        super().__init__(1, 2, 1)
        self.weight.data[:] = torch.tensor([0.0, 100]).reshape(2, 1, 1, 1)
        self.bias.data[:] = torch.tensor([0.0, -50])
        known = {"task": "segmentation", "classes": ["background", "bright"]}
        self.card = CARD | known | card


class MeanGray(nn.Module):
    """Its logits are 0 and the mean gray value."""

    def __init__(self, **card) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))
        self.card = CARD | {"task": "multi-class", "classes": ["dark", "bright"]} | card

    def forward(self, images):
        gray = images.flatten(1).mean(1) * self.factor
        return torch.stack([torch.zeros_like(gray), gray], 1)


def write_scan(path, spacing=(0.8, 0.8, 3.0), orientation="LPS", low=0.0, high=100.0):
    """A bright box in the dark, its sides odd so that no flip or shift leaves it in place."""
    voxels = np.full((30, 26, 12), low, np.float32)
    voxels[5:18, 9:21, 2:9] = high
    image = nib.Nifti1Image(voxels, np.diag([*spacing, 1.0]))
    ends = (nib.orientations.axcodes2ornt(axes) for axes in ("RAS", tuple(orientation)))
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image.as_reoriented(nib.orientations.ornt_transform(*ends)), path)
    return path


def write_series(folder, count=4):
    folder.mkdir()
    for number in range(count):
        slice_ = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
        slice_.ImagePositionPatient = [-158.1, -179.0, -75.7 + 5 * number]
        slice_.save_as(folder / f"slice{number}")
    return folder


def read_table(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text))


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "ASL"])
@pytest.mark.parametrize("spacing", [None, [0.4, 0.4], [0.8, 0.8]])
def test_a_mask_lies_on_the_grid_of_the_scan(tmp_path, orientation, spacing):
    path = write_scan(tmp_path / "scan.nii.gz", orientation=orientation)
    (line,) = predict_to(Bright(spacing=spacing, unit=CASE), path, tmp_path / "masks")
    assert line == f"scan.nii.gz: {tmp_path / 'masks' / 'scan_mask.nii.gz'}"
    mask, scan = nib.load(tmp_path / "masks" / "scan_mask.nii.gz"), nib.load(path)
    np.testing.assert_allclose(mask.affine, scan.affine)
    np.testing.assert_array_equal(mask.get_fdata(), scan.get_fdata() > 50)
    assert mask.get_data_dtype() == np.uint8


def test_a_network_for_volumes_gets_its_own_voxels(tmp_path):
    path = write_scan(tmp_path / "scan.nii.gz")
    model = Bright(size=[16, 16, 16], spacing=[1.5, 0.8, 0.8], unit=CASE)
    seen, layer = [], nn.Conv3d(1, 2, 1)
    layer.weight.data, layer.bias.data = model.weight.data[..., None], model.bias.data
    layer.card = model.card
    layer.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape[2:]))
    ((_, mask),) = predict_files(layer, path)
    np.testing.assert_array_equal(mask.get_fdata(), nib.load(path).get_fdata() > 50)
    assert set(seen) == {(16, 16, 16)}


def test_the_window_of_the_network_scales_a_scan(tmp_path):
    path = write_scan(tmp_path / "ct.nii.gz", low=-1000, high=40)
    for window, inside in (((-160, 240), False), ((-160, 200), True), (None, True)):  # 40 HU is the middle of the first
        ((_, mask),) = predict_files(Bright(window=window, unit=CASE), path)
        assert mask.get_fdata().any() == inside
    with pytest.raises(ValueError, match="ct.nii.gz has no voxel between 300 and 400"):
        list(predict_files(Bright(window=(300, 400)), path))


def test_a_series_is_one_scan_and_files_of_several_series_are_images(tmp_path):
    folder = write_series(tmp_path / "series")
    ((name, mask),) = predict_files(Bright(unit=CASE), folder)
    volume = load_dicom_series(folder)
    assert name == "series" and (mask.shape, mask.affine.tolist()) == (volume.source[0], volume.source[1].tolist())
    low, high = np.percentile(volume.voxels, (0.5, 99.5))
    np.testing.assert_array_equal(nib.as_closest_canonical(mask).get_fdata().T, volume.voxels > (low + high) / 2)
    pydicom.dcmread(folder / "slice0").save_as(folder / "other")
    other = pydicom.dcmread(folder / "slice0")
    other.SeriesInstanceUID = "1.2.3"
    other.save_as(folder / "other")
    (folder / "notes.txt").write_text("none")
    assert [name for name, _ in predict_files(Bright(unit=CASE), folder)] == ["other", *(f"slice{n}" for n in range(4))]
    pixels = load_dicom(folder / "slice0")[0]
    picture = dict(predict_files(Bright(unit=CASE), folder))["slice0"]
    np.testing.assert_array_equal(np.asarray(picture), pixels > np.percentile(pixels, (0.5, 99.5)).mean())


def test_masks_of_pictures_are_read_as_masks(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (20, 33), np.uint8)
    Image.fromarray(pixels).save(images / "a.png")
    list(predict_to(Bright(), images, tmp_path / "masks"))
    (tmp_path / "masks" / "a_mask.png").rename(tmp_path / "masks" / "a.png")
    found = load_png_folder(images, tmp_path / "masks")
    np.testing.assert_array_equal(found.targets[0], pixels > 127)
    Image.fromarray(pixels).save(images / "a.jpg")
    with pytest.raises(ValueError, match="a_mask.png would be the mask of two files"):
        list(predict_to(Bright(), images, tmp_path / "masks"))


def test_a_classifier_fills_a_table(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, gray in (("b.png", 255), ("a.jpg", 51)):
        Image.new("L", (40, 30), gray).save(folder / name)
    (text,) = predict_to(MeanGray(), folder, tmp_path / "table.csv")
    table = read_table(text)
    assert list(table) == ["image", "slice", "class", "dark", "bright", "calibrated"]
    assert table["image"].tolist() == ["a.jpg", "b.png"] and table["class"].tolist() == ["bright"] * 2
    expected = 1 / (1 + np.exp([-0.2, -1]))
    np.testing.assert_allclose(table["bright"], expected, atol=1e-4)
    assert table["calibrated"].tolist() == ["no"] * 2 and table["slice"].isna().all()
    np.testing.assert_allclose(pd.read_csv(tmp_path / "table.csv")["bright"], expected, atol=1e-6)
    table = read_table(next(predict_to(MeanGray(temperature=0.5), folder)))
    np.testing.assert_allclose(table["bright"], 1 / (1 + np.exp([-0.4, -2])), atol=1e-4)
    assert table["calibrated"].tolist() == ["yes"] * 2
    several = read_table(next(predict_to(MeanGray(task="multi-label"), folder)))
    assert several["class"].tolist() == ["bright"] * 2 and several["dark"].tolist() == [0.5] * 2


def test_slices_of_a_scan_are_classified_as_the_network_knows_them(tmp_path):
    path = write_scan(tmp_path / "scan.nii.gz")
    plain = nib.as_closest_canonical(nib.load(path)).get_fdata()[..., 4] / 100
    for spacing, gray in ((None, plain.mean()), ([0.8, 0.8], plain[7:23, 5:21].mean())):
        table = read_table(next(predict_to(MeanGray(spacing=spacing, unit=CASE), path)))
        assert table["slice"].tolist() == list(range(12)) and set(table["image"]) == {"scan.nii.gz"}
        assert np.log(table["bright"][4] / table["dark"][4]) == pytest.approx(gray, abs=0.01)
    whole = MeanGray(size=[12, 26, 30], unit=CASE)
    whole.layer = nn.Conv3d(1, 1, 1)  # takes volumes
    assert len(read_table(next(predict_to(whole, path)))) == 1


def test_the_command_predicts_with_a_saved_network(tmp_path):
    path = write_scan(tmp_path / "scan.nii.gz")
    labels = nib.load(path)
    nib.save(nib.Nifti1Image((labels.get_fdata() > 50).astype(np.uint8), labels.affine), tmp_path / "labels.nii.gz")
    info = Info("made", "MR", "segmentation", ("background", "box"), "MIT", "", True)
    train = slice_set([Case("a", path, tmp_path / "labels.nii.gz")], info, 32)
    torch.manual_seed(0)
    network = nn.Sequential(Standardize(train), UNet(width=4, levels=3))
    fit(network, train, epochs=20, batch_size=4, lr=1e-2, progress=False)
    save_model(tmp_path / "net", network, train)
    done = CliRunner().invoke(app, ["predict", str(tmp_path / "net"), str(path), "--out", str(tmp_path / "masks")])
    assert done.exit_code == 0, done.output
    assert done.stderr == f"net takes gray values as: {train.info.unit}. Not for clinical use.\n"
    assert done.stdout == f"scan.nii.gz: {tmp_path}/masks/scan_mask.nii.gz\n"
    mask = nib.load(tmp_path / "masks" / "scan_mask.nii.gz")
    by_hand = to_nifti(predict(network, train, labels=True), like=train)
    np.testing.assert_allclose(mask.affine, labels.affine)
    assert (mask.get_fdata() == by_hand.get_fdata()).mean() > 0.99
    assert (mask.get_fdata() == (labels.get_fdata() > 50)).mean() > 0.98
    for missing, message in (("none.nii", "there is no file or folder"), ("", "no DICOM, NIfTI or picture in")):
        folder = tmp_path / "empty"
        folder.mkdir(exist_ok=True)
        done = CliRunner().invoke(app, ["predict", str(tmp_path / "net"), str(folder / missing)])
        assert done.exit_code == 2 and done.stderr.startswith(f"error: {message} {folder}")
    with pytest.raises(ValueError, match="net is for generation, it predicts nothing"):
        list(predict_files(Bright(task="generation", name="net"), path))


def test_the_name_of_a_file_is_no_formula_in_the_table(tmp_path):
    (tmp_path / "films").mkdir()
    Image.new("L", (16, 16), 255).save(tmp_path / "films" / "=1+1.png")
    Image.new("L", (16, 16), 255).save(tmp_path / "films" / "-1.png")
    (text,) = predict_to(MeanGray(classes=["dark", "@bright"]), tmp_path / "films", tmp_path / "table.csv")
    written = (tmp_path / "table.csv").read_text()
    for line in [*text.splitlines(), *written.splitlines()]:
        assert not [cell for cell in line.split(",") if cell[:1] in tuple("=+-@")]
    table = pictures.read_table(tmp_path / "table.csv", ["image", "@bright"])
    assert list(table["image"]) == ["-1.png", "=1+1.png"] and set(table["class"]) == {"@bright"}
