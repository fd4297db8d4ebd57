"""Files that promise gigabytes, or numbers that no scan has: refused by name before memory is taken."""

import gzip
import io
import os
import random
import resource
import struct
import sys
import warnings
import zipfile
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import torch
import yaml
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.uid import DeflatedExplicitVRLittleEndian

from medlab.data import load_dicom, load_nifti, raise_limits
from medlab.data.archives import column
from medlab.data.pictures import open_picture, read_table
from medlab.reader_study import read_answers
from medlab.reader_study.answers import HEADER
from medlab.runs.parameters import read_yaml
from medlab.train import load_checkpoint, save_checkpoint

MEMORY = 2**27  # bytes more than before


def nifti(path, dims=(8, 8, 8), change=b"", at=0):
    """A NIfTI file of 8 x 8 x 8 voxels, whose header says something else."""
    content = bytearray(nib.Nifti1Image(np.ones((8, 8, 8), np.int16), np.eye(4)).to_bytes())
    content[42:48] = struct.pack("<3h", *dims)
    content[at : at + len(change)] = change
    path.write_bytes(gzip.compress(bytes(content)) if path.suffix == ".gz" else content)
    return path


@pytest.fixture
def memory():
    """Fails if the test has taken much memory."""
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit < before + MEMORY


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_nifti_that_promises_more_than_it_holds(tmp_path, memory, name):
    with pytest.raises(ValueError, match=r"a\.nii.*its header promises 1,024,000,000 bytes of voxels, and its"):
        load_nifti(nifti(tmp_path / name, (800, 800, 800)))


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (108, float("nan"), "a.nii: the header is damaged"),  # where the voxels begin
        (280, float("nan"), "a.nii: its affine is no grid"),
        (112, 3e38, "a.nii: .* voxels are NaN or infinite"),  # the slope
        (112, float("inf"), "a.nii: its scl_slope is inf"),
    ],
)
def test_a_nifti_of_impossible_numbers(tmp_path, at, value, message):
    path = nifti(tmp_path / "a.nii", change=struct.pack("<f", value), at=at)
    content = bytearray(path.read_bytes())
    content[352:] = struct.pack("<h", 30_000) * 512
    path.write_bytes(content)
    with warnings.catch_warnings(), pytest.raises(ValueError, match=message):
        warnings.simplefilter("ignore")
        load_nifti(path)


def test_a_deflated_dicom_that_unpacks_to_gigabytes(tmp_path, memory):
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(tmp_path / "a.dcm")
    pixels, _ = load_dicom(tmp_path / "a.dcm")
    assert pixels.shape == (128, 128)
    content = (tmp_path / "a.dcm").read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = pack.compress(zlib.decompress(content[start:], -15) + struct.pack("<HH2sHI", 0x7FE1, 0x10, b"OW", 0, 2**31))
    body += b"".join(pack.compress(bytes(2**22)) for _ in range(100)) + pack.flush()
    (tmp_path / "a.dcm").write_bytes(content[:start] + body)
    with pytest.raises(ValueError, match=r"a\.dcm unpacks to [\d,]+ bytes or more, allowed are 268,435,456"):
        load_dicom(tmp_path / "a.dcm")
    (tmp_path / "a.dcm").write_bytes(content[:start] + b"\xff" * 100)
    with pytest.raises(ValueError, match=r"a\.dcm is truncated or damaged"):
        load_dicom(tmp_path / "a.dcm")


def test_a_dicom_of_impossible_numbers(tmp_path):
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    dataset.RescaleSlope = "1e308"
    dataset.save_as(tmp_path / "a.dcm")
    with pytest.raises(ValueError, match=r"a\.dcm: RescaleSlope 1e\+308 .*repair the tags"):
        load_dicom(tmp_path / "a.dcm")


@pytest.mark.parametrize("shape", [(2**31,), (2**33,), (-1,), (2**62, 2**62)])
def test_a_member_of_an_archive_that_promises_gigabytes(tmp_path, memory, shape):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("labels.npy", header.getvalue() + bytes(100))
    with pytest.raises(ValueError, match=r"a\.npz"):
        column(tmp_path / "a.npz", "labels")


def test_a_limit_can_be_raised_for_a_file_that_is_trusted(tmp_path, monkeypatch):
    Image.new("L", (9000, 3)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # ours counts, not Pillow's
    for _ in range(2):
        with pytest.raises(ValueError, match=r"9000 pixels, allowed are 8,192; .*raise_limits\(picture_side=9000\)"):
            open_picture(tmp_path / "a.png")
        with pytest.raises(KeyError), raise_limits(picture_side=9000):
            assert open_picture(tmp_path / "a.png").size == (9000, 3)
            raise KeyError  # it ends all the same
    assert Image.MAX_IMAGE_PIXELS == 10
    for wrong, message in (({"side": 3}, "picture_side"), ({"picture_side": 0}, "at least 1, got 0")):
        with pytest.raises(ValueError, match=message), raise_limits(**wrong):
            pass


# Fuzzed: files that are changed at random are read, or refused by a ValueError or OSError that names them.


def kinds(folder):
    """A whole file of each kind, and its reader."""
    (folder / "a.png").write_bytes(b"")
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(folder / "a.png")
    nifti(folder / "a.nii")
    nifti(folder / "a.nii.gz")
    (folder / "a.dcm").write_bytes(Path(get_testdata_file("MR_small.dcm")).read_bytes())
    np.savez(folder / "a.npz", labels=np.arange(200))
    save_checkpoint(folder / "a.pt", {"a": torch.ones(20), "history": {"train_loss": [1.0]}})
    line = "ann,abc,3,{},4,{},real,real,1.0\n"
    (folder / "answers.csv").write_text(HEADER + "\n" + "".join(line.format(i + 1, i) for i in range(4)))
    (folder / "table.csv").write_text("name,class\n" + "a.png,ill\n" * 5)
    (folder / "plan.yaml").write_text(
        'notebook: "01"\nparameters: {epochs: 6, a: [1e-3, x]}\ngrid: {n: [10, 20]}\nseeds: [0, 1]\n'
    )
    return {
        "a.png": lambda path: open_picture(path).load(),
        "a.nii": load_nifti,
        "a.nii.gz": load_nifti,
        "a.dcm": load_dicom,
        "a.npz": lambda path: column(path, "labels"),
        "a.pt": load_checkpoint,
        "answers.csv": read_answers,
        "table.csv": lambda path: read_table(path, ("name",)),
        "plan.yaml": lambda path: read_yaml(path.read_text(encoding="utf-8")),
    }


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Bytes changed, cut out, doubled, or the end missing."""
    content = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(content) + 1), rng.randint(1, 16)
        kind = rng.randrange(5)
        if kind == 0:
            content[at : at + length] = rng.randbytes(length)
        elif kind == 1:
            content[at : at + length] = rng.choice([b"\0", b"\xff", b"\x7f"]) * length
        elif kind == 2:
            del content[at : at + length]
        elif kind == 3:
            content[at:at] = content[at : at + 8 * length]
        elif rng.random() < 0.3:
            del content[at:]
    return bytes(content)


NAMES = ["a.png", "a.nii", "a.nii.gz", "a.dcm", "a.npz", "a.pt", "answers.csv", "table.csv", "plan.yaml"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_changed_at_random_is_read_or_refused_by_name(tmp_path, memory, name):
    read, count = kinds(tmp_path)[name], int(os.environ.get("MEDLAB_FUZZ", "250"))
    path, rng = tmp_path / name, random.Random(0)
    whole = path.read_bytes()
    read(path)
    for number in range(count):
        path.write_bytes(mutate(whole, rng))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                read(path)
            except (ValueError, OSError) as error:
                assert name in str(error) or name == "plan.yaml", (number, error)
            except yaml.YAMLError:  # `read_plan` names the file
                assert name == "plan.yaml"
        assert len(said) < 10, (number, [str(each.message) for each in said])
