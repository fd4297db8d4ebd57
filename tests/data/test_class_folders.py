"""A folder of class folders, written here."""

import numpy as np
import pydicom
import pytest
import torch
from PIL import Image
from pydicom.data import get_testdata_file

from medlab import limits
from medlab.data import load_class_folders


def write(folder, *names, color=(51, 51, 51), size=(40, 40), **options):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, color).save(folder / name, **options)
    return folder


@pytest.mark.filterwarnings("error")
def test_classes_patients_and_pixels(tmp_path):
    write(tmp_path, "healthy/p1_left.png", "healthy/p1_right.JPG", "ill/p2_left.TIFF", "ill/p3.jpeg", "ill/p4_1.Bmp")
    Image.new("L", (9, 9), 51).save(tmp_path / "ill" / "p5_1.tif")
    for hidden in (".ipynb_checkpoints/p9_1.png", "__MACOSX/p9_1.png", "ill/._p2_left.png", ".DS_Store.png"):
        write(tmp_path, hidden)
    images = load_class_folders(tmp_path, 32)
    assert images.info.classes == ("healthy", "ill") and images.targets.tolist() == [0, 0, 1, 1, 1, 1]
    assert images.patients.tolist() == ["p1", "p1", "p2", "p3", "p4", "p5"]
    assert images.images.shape == (6, 1, 32, 32) and torch.allclose(images.images, torch.tensor(0.2), atol=0.01)


def test_a_number_alone_names_an_image_and_no_patient(tmp_path):
    images = load_class_folders(write(tmp_path, "a/1.png", "b/1.png", "b/2_1.png", "b/2_2.png"), 8)
    assert images.patients.tolist() == ["a/1", "b/1", "2", "2"]


def test_a_pattern_says_who_the_patient_is(tmp_path):
    write(tmp_path, "a/train_007_left.png", "b/test_007.png", "b/test_8.png")
    images = load_class_folders(tmp_path, 8, pattern=r"_(\d+)")
    assert images.patients.tolist() == ["007", "007", "8"]
    with pytest.raises(ValueError, match=r"pattern '_\(7\)' finds no patient for a/train_007_left.png"):
        load_class_folders(tmp_path, 8, pattern="_(7)")
    with pytest.raises(ValueError, match="has no group: put brackets around the patient"):
        load_class_folders(tmp_path, 8, pattern="_.+")
    with pytest.raises(ValueError, match="is no regular expression"):
        load_class_folders(tmp_path, 8, pattern="_(")


@pytest.mark.filterwarnings("error")
def test_a_table_says_who_the_patient_is(tmp_path):
    write(tmp_path, "a/1.png", "b/1.png")
    table = tmp_path / "patients.csv"
    table.write_text("file,patient\na/1.png,ann\nb/1.png,ann\n")
    images = load_class_folders(tmp_path, 8, pattern="(.)")  # the table goes first
    assert images.patients.tolist() == ["ann", "ann"] and not images.info.note
    table.write_text("file,patient\na/1.png,ann\n")
    with pytest.raises(ValueError, match=r"patients.csv has no row for b/1.png: every image needs a patient"):
        load_class_folders(tmp_path, 8)


def test_color_is_kept_if_any_image_has_it(tmp_path):
    write(write(tmp_path, "a/1.png"), "b/2.png", color=(0, 51, 255))
    images = load_class_folders(str(tmp_path), 8).images
    assert images.shape == (2, 3, 8, 8)
    np.testing.assert_allclose(images[:, :, 4, 4], [[0.2, 0.2, 0.2], [0, 0.2, 1]], atol=1e-6)


def test_a_photo_is_turned_upright(tmp_path):
    picture, exif = Image.new("L", (8, 8)), Image.Exif()
    picture.paste(255, (0, 0, 8, 4))  # the upper half is white
    exif[0x0112] = 6  # turn to the right
    (tmp_path / "a").mkdir()
    picture.save(tmp_path / "a" / "1.png", exif=exif)
    image = load_class_folders(tmp_path, 8).images[0, 0]
    assert image[:, 4:].min() == 1 and image[:, :4].max() == 0


def test_what_is_left_out_is_counted(tmp_path):
    write(tmp_path, "a/1.png", "b/2.png", "loose.png")
    (tmp_path / "a" / "notes.txt").write_text("")
    (tmp_path / "none").mkdir()
    write(tmp_path, "b/deeper/3.png")
    with pytest.warns(UserWarning) as said:
        images = load_class_folders(tmp_path, 8)
    assert images.info.note == "2 files left out (1 .txt, 1 .png); no image in none, so no class; " + (
        "folders within classes not entered: 1"
    )
    assert len(said) == 1 and images.info.note in str(said[0].message) and images.info.classes == ("a", "b")


def test_dicom_needs_a_window_and_says_what_it_inverted(tmp_path):
    image = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    for number, photometric in enumerate(("MONOCHROME2", "MONOCHROME1")):
        image.PhotometricInterpretation = photometric
        image.PixelData = np.full((128, 128), 1024 + 50 if number == 0 else -2049 - 50, np.int16).tobytes()
        (tmp_path / "ab"[number]).mkdir()
        image.save_as(tmp_path / "ab"[number] / f"{number}.DCM")
    with pytest.raises(ValueError, match=r"2 files of images \(2 .dcm\): give DICOM a window"):
        load_class_folders(tmp_path, 8)
    with pytest.warns(UserWarning, match="1 of 2: inverted, since MONOCHROME1"):
        images = load_class_folders(tmp_path, 8, window=(0, 400))
    assert images.info.unit == "0 = -200, 1 = 200 in the unit of the files"
    np.testing.assert_allclose(images.images[0], 0.625)
    write(tmp_path, "a/2.png")
    with pytest.raises(ValueError, match="do not mix DICOM with pictures.*1 .png"):
        load_class_folders(tmp_path, 8, window=(0, 400))


def test_bad_folders_and_files(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=f"there is no folder {tmp_path}/gone"):
        load_class_folders(tmp_path / "gone", 8)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"no file CLASS/PATIENT_IMAGE.png .* in {tmp_path}"):
        load_class_folders(".", 8)
    write(tmp_path, "a/1.png")
    for size, window in ((0, None), (8, (40, 0))):
        with pytest.raises(ValueError, match="size must be at least 1 and the width of the window above 0"):
            load_class_folders(tmp_path, size, window)
    bad = tmp_path / "a" / "2.tif"
    for picture, said in (
        (Image.new("I;16", (8, 8)), "is not an 8-bit image .mode I;16."),
        (Image.new("CMYK", (8, 8)), "is not an 8-bit image .mode CMYK."),
        (Image.new("RGBA", (8, 8), (9, 9, 9, 128)), "has transparent pixels"),
    ):
        picture.save(bad)
        with pytest.raises(ValueError, match=f"a/2.tif {said}"):
            load_class_folders(tmp_path, 8)
    Image.new("L", (8, 8)).save(bad, save_all=True, append_images=[Image.new("L", (8, 8))])
    with pytest.raises(ValueError, match="2.tif holds 2 pages"):
        load_class_folders(tmp_path, 8)
    monkeypatch.setitem(limits._LIMITS, "picture_side", 7)
    with pytest.raises(ValueError, match="1.png is 40 x 40 pixels, allowed are 7"):
        load_class_folders(tmp_path, 8)
    monkeypatch.undo()
    Image.new("L", (8, 8)).save(bad)
    damaged = bytearray(bad.read_bytes())
    damaged[24] = 10  # its width
    bad.write_bytes(damaged)
    with pytest.raises(ValueError, match="2.tif is truncated or damaged"):
        load_class_folders(tmp_path, 8)
    bad.write_bytes(b"II*\0")
    with pytest.raises(ValueError, match="2.tif is truncated or damaged"):
        load_class_folders(tmp_path, 8)
