"""Real chest X-rays in their publishers' folders: tiny or empty files in these layouts, written here."""

import numpy as np
import pytest
import torch
from PIL import Image

from medlab import limits
from medlab.data import registry, xrays


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDLAB_DATA", str(tmp_path))
    monkeypatch.setattr(xrays, "JSRT_SIDE", 32)
    return tmp_path


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def square(side, top, left, height, width, inside=255):
    pixels = np.zeros((side, side), np.uint8)
    pixels[top : top + height, left : left + width] = inside
    return pixels


def jsrt(folder, names=("JPCLN001", "JPCNN001", "JPCNN002"), ending="gif"):
    """Air (large numbers) everywhere but in one corner; lungs by the patient's side; a heart over the left one."""
    values = np.full((32, 32), 4095, ">u2")
    values[:8, :8] = 0
    for name in names:
        path = folder / "jsrt" / "All247images" / f"{name}.IMG"
        path.parent.mkdir(parents=True, exist_ok=True)
        values.tofile(path)
        masks = folder / "jsrt" / "scr" / "fold1" / "masks"
        write(masks / "right lung" / f"{name}.{ending}", square(16, 2, 1, 12, 6))
        write(masks / "left lung" / f"{name}.{ending}", square(16, 2, 9, 12, 6))
        write(masks / "heart" / f"{name}.{ending}", square(16, 6, 7, 6, 4))


def montgomery(folder, names=("MCUCXR_0001_0", "MCUCXR_0002_1", "MCUCXR_0003_1")):
    for name in names:
        base = folder / "montgomery" / "MontgomerySet"
        image = np.full((24, 32), 200, np.uint8)
        left, right = np.zeros((2, 24, 32), np.uint8)
        right[4:20, 4:12], left[4:20, 20:28] = 255, 255
        write(base / "CXR_png" / f"{name}.png", image)
        write(base / "ManualMask" / "leftMask" / f"{name}.png", left)
        write(base / "ManualMask" / "rightMask" / f"{name}.png", right)


@pytest.mark.parametrize("ending", ["gif", "png"])
def test_jsrt(folders, ending):
    jsrt(folders, ending=ending)
    data = registry.load("jsrt", size=16)
    assert data.images.shape == (3, 1, 16, 16) and data.patients.tolist() == ["JPCLN001", "JPCNN001", "JPCNN002"]
    assert data.images[0, 0, 0, 0] == 1 and data.images[0, 0, 8, 8] == 0  # turned over: bone bright, air dark
    assert data.info.classes == registry.load("chest", n=1).info.classes
    assert data.counts() == {"background": 3 * (256 - 72 - 60 - 24), "right lung": 216, "left lung": 180, "heart": 72}
    label = data.targets[0]
    assert label[8, 2] == 1 and label[8, 14] == 2 and label[8, 9] == 3  # the heart lies over the lung


def test_lungs_are_told_by_their_place(folders):
    jsrt(folders)
    masks = folders / "jsrt/scr/fold1/masks"
    (masks / "left lung").rename(masks / "other")
    (masks / "right lung").rename(masks / "left lung")
    (masks / "other").rename(masks / "right lung")
    assert registry.load("jsrt", size=16).targets[0, 8, 2] == 1


def test_montgomery(folders):
    montgomery(folders)
    data = registry.load("montgomery", size=16)
    assert data.images.shape == (3, 1, 16, 16) and data.info.classes == ("background", "right lung", "left lung")
    assert (data.images[:, :, :2] == 0).all() and (data.images[:, :, -2:] == 0).all()  # padded above and below
    assert data.images[0, 0, 8, 8] == pytest.approx(200 / 255)
    assert torch.equal(data.targets[0].unique(), torch.tensor([0, 1, 2], dtype=torch.uint8))
    assert data.targets[0, 8, 4] == 1 and data.targets[0, 8, 12] == 2
    assert data.patients.tolist()[0] == "MCUCXR_0001_0"


@pytest.mark.parametrize("name", ["jsrt", "montgomery"])
def test_sets_that_are_not_there_say_where_to_put_them(folders, name):
    with pytest.raises(FileNotFoundError, match=rf'MEDLAB_DATA to a folder that holds {name}/.*load\("chest"\)'):
        registry.load(name)
    (folders / name).mkdir()
    with pytest.raises(ValueError, match="holds no"):
        registry.load(name)
    assert registry.available().set_index("name")["here"][name] == "cached"


def test_damaged_files_are_refused(folders):
    jsrt(folders)
    file = folders / "jsrt/All247images/JPCNN001.IMG"
    good = file.read_bytes()
    for bad, message in [
        (good[:-2], "JPCNN001.IMG has 2046 bytes, a JSRT image has 2048"),
        (good + b"00", "has 2050 bytes"),
        (b"\xff" * 2048, "holds 65535, more than 12 bits"),
    ]:
        file.write_bytes(bad)
        with pytest.raises(ValueError, match=message):
            registry.load("jsrt", size=16)
    file.write_bytes(good)
    mask = folders / "jsrt/scr/fold1/masks/heart/JPCNN001.gif"
    write(mask, np.zeros((16, 20), np.uint8))
    with pytest.raises(ValueError, match=r"mask of JPCNN001.IMG is \(16, 20\), its image \(32, 32\)"):
        registry.load("jsrt", size=16)
    mask.unlink()
    with pytest.raises(ValueError, match="JPCNN001.IMG has no mask heart/JPCNN001 "):
        registry.load("jsrt", size=16)


def test_damaged_pictures_are_refused(folders, monkeypatch):
    montgomery(folders)
    base = folders / "montgomery/MontgomerySet"
    mask = base / "ManualMask/leftMask/MCUCXR_0002_1.png"
    good = mask.read_bytes()
    write(mask, np.zeros((24, 24), np.uint8))
    with pytest.raises(ValueError, match=r"mask of MCUCXR_0002_1.png is \(24, 24\), its image \(24, 32\)"):
        registry.load("montgomery", size=16)
    mask.write_bytes(good[: len(good) // 2])
    with pytest.raises(ValueError, match="truncated or damaged"):
        registry.load("montgomery", size=16)
    mask.write_bytes(good)
    Image.fromarray(np.zeros((24, 32), np.uint16)).save(base / "CXR_png/MCUCXR_0001_0.png")
    with pytest.raises(ValueError, match="not an 8-bit image"):
        registry.load("montgomery", size=16)
    monkeypatch.setitem(limits._LIMITS, "picture_side", 30)
    with pytest.raises(ValueError, match="is 24 x 32 pixels, allowed are 30"):
        registry.load("montgomery", size=16)
