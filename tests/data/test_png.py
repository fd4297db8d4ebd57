"""Folders of PNG images and masks: which files are meant, and which pixels are object; written here."""

import numpy as np
import pytest
import torch
from PIL import Image

from medlab.data import archives, load_png_folder
from medlab.data.images import Info

SHAPE = (8, 6)
OBJECT = np.zeros(SHAPE, np.uint8)
OBJECT[2:5, 1:4] = 1


def write(folder, masks=None, names=("p0.png", "p1.png")):
    """Gray images, and masks of the same names: black with a white object, or the pictures given."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(exist_ok=True)
    for number, name in enumerate(names):
        Image.fromarray(np.arange(48, dtype=np.uint8).reshape(SHAPE) * 5).save(folder / "images" / name)
        mask = Image.fromarray(OBJECT * 255) if masks is None else masks[number]
        mask.save(folder / "masks" / name)
    return folder / "images", folder / "masks"


def palette(*colors, index=OBJECT):
    picture = Image.fromarray(index).convert("P")
    picture.putdata(index.ravel().tolist())
    picture.putpalette([channel for color in colors for channel in color])
    return picture


def rgba(color, opacity):
    return Image.fromarray(np.dstack([np.broadcast_to(color, (*SHAPE, 3)).astype(np.uint8), opacity]))


def colored(color):
    return Image.fromarray(OBJECT[..., None] * np.array(color, np.uint8))


@pytest.mark.parametrize(
    "mask",
    [
        palette((0, 0, 0), (0, 0, 1)),  # dark blue: black when turned to gray
        palette((0, 0, 0), (255, 0, 0)),
        palette((255, 255, 255), (255, 0, 0)),
        palette((0, 0, 0), (1, 1, 1), (0, 1, 0), index=OBJECT * 2),
        palette((0, 0, 0), (0, 0, 0)),
        colored((0, 0, 1)),
        colored((255, 0, 0)),
        colored((255, 255, 255)),
        rgba((255, 255, 255), OBJECT * 255),
        rgba((0, 0, 0), OBJECT * 255),
        Image.fromarray(np.dstack([OBJECT * 255] * 3 + [np.full(SHAPE, 255, np.uint8)])),
        Image.fromarray(np.dstack([OBJECT * 255] * 4)),
        Image.fromarray(OBJECT),
        Image.fromarray(OBJECT.astype(bool)),
    ],
    ids=lambda mask: mask.mode,
)
def test_the_object_is_found_however_a_mask_shows_it(tmp_path, mask):
    images = load_png_folder(*write(tmp_path, [mask, Image.fromarray(OBJECT * 255)]))
    np.testing.assert_array_equal(images.targets, [OBJECT, OBJECT])


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (palette((255, 255, 255), (0, 0, 0)), "index 0 of its palette is not black, but index 1 is"),
        (palette((0, 0, 0), (9, 0, 0), (0, 9, 0), index=np.arange(48, dtype=np.uint8).reshape(SHAPE) % 3), "0, 1, 2"),
        (Image.fromarray(np.dstack([OBJECT * 255] * 3 + [255 - 90 * OBJECT.T.reshape(SHAPE)])), "show different masks"),
        (Image.fromarray(OBJECT + 1), "must hold 0 and one other value, got .1, 2."),
    ],
)
def test_masks_that_could_mean_two_things_are_refused(tmp_path, mask, said):
    with pytest.raises(ValueError, match=f"mask .*p0.png.*{said}"):
        load_png_folder(*write(tmp_path, [mask, mask]))


def test_a_smoothed_mask_says_how_to_threshold_it_and_classes_do_not(tmp_path):
    smooth = Image.fromarray(OBJECT * 255).resize((60, 80)).resize((6, 8), Image.Resampling.BOX)
    with pytest.raises(ValueError, match=r"p0.png must .*threshold at 128: Image.open\(path\).*\.save\(path\)"):
        load_png_folder(*write(tmp_path, [smooth, smooth]))
    for name in ("p0.png", "p1.png"):  # as it says
        path = tmp_path / "masks" / name
        Image.open(path).convert("L").point(lambda value: 255 * (value >= 128)).save(path)
    np.testing.assert_array_equal(load_png_folder(tmp_path / "images", tmp_path / "masks").targets, [OBJECT, OBJECT])
    classes = Image.fromarray(OBJECT * 2 + np.eye(*SHAPE, dtype=np.uint8))
    with pytest.raises(ValueError, match="write the one to be found as 0 and 255") as error:
        load_png_folder(*write(tmp_path, [classes, classes]))
    assert "threshold" not in str(error.value)


def test_suffixes_in_any_case_are_read_and_the_rest_is_counted(tmp_path):
    images, masks = write(tmp_path, names=("a.png", "b.PNG", "c.Png"))
    (masks / "b.PNG").rename(masks / "b.png")
    Image.fromarray(OBJECT).save(masks / "extra.png")
    Image.fromarray(OBJECT).save(images / "d.jpg")
    (images / "notes.txt").write_text("")
    info = Info("made", "MR", "segmentation", ("background", "object"), "MIT", "", note="Known.")
    with pytest.warns(UserWarning) as said:
        read = load_png_folder(images, masks, info)
    assert read.patients.tolist() == ["a", "b", "c"] and len(said) == 1
    note = "2 files left out, not .png (1 .jpg, 1 .txt); 1 file left out, masks without an image (1 .png)"
    assert note in str(said[0].message) and read.info.note == f"Known. {note}"


@pytest.mark.filterwarnings("error")
def test_hidden_files_are_passed_over(tmp_path):
    images, masks = write(tmp_path)
    for name in ("._p0.png", ".DS_Store", "Thumbs.db", "desktop.ini", ".hidden.png"):
        (images / name).write_bytes(b"\0\5\x16\7")
        (masks / name).write_bytes(b"\0\5\x16\7")
    for name in (".ipynb_checkpoints", "__MACOSX"):
        (images / name).mkdir()
    assert load_png_folder(images, masks).patients.tolist() == ["p0", "p1"]


def test_two_files_of_one_name_are_refused(tmp_path):
    images, masks = write(tmp_path, names=("p0.png", "p0.PNG"))
    with pytest.raises(ValueError, match="images holds both p0.PNG and p0.png; remove one"):
        load_png_folder(images, masks)


@pytest.mark.parametrize("kind", ["images", "masks"])
@pytest.mark.parametrize("name", ["p0.png", "p1.png"])
@pytest.mark.parametrize("left", [0, 10, 40, 55])
def test_damaged_files_are_named(tmp_path, kind, name, left):
    images, masks = write(tmp_path)
    path = tmp_path / kind / name
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(ValueError, match=f"{kind}/{name} is truncated or damaged"):
        load_png_folder(images, masks)


def test_transparent_images_and_missing_folders_are_refused(tmp_path):
    images, masks = write(tmp_path)
    rgba((9, 9, 9), OBJECT * 255).save(images / "p1.png")
    with pytest.raises(ValueError, match="p1.png has transparent pixels.*flatten it"):
        load_png_folder(images, masks)
    with pytest.raises(FileNotFoundError, match=f"there is no folder {tmp_path}/gone"):
        load_png_folder(tmp_path / "gone", masks)
    with pytest.raises(NotADirectoryError, match="p0.png is a file"):
        load_png_folder(images, masks / "p0.png")


def test_more_than_the_budget_is_mapped_from_disk(tmp_path, monkeypatch):
    folders = write(tmp_path, names=[f"p{number}.png" for number in range(5)])
    small = load_png_folder(*folders)
    monkeypatch.setattr(archives, "BUDGET", 3 * 48 * 4)
    monkeypatch.setenv("MEDLAB_CACHE", str(tmp_path / "cache"))
    large = load_png_folder(*folders)
    assert large.images.dtype == torch.uint8 and torch.equal(large.targets, small.targets)
    assert torch.equal(large.batch(torch.arange(5))[0], small.images)
