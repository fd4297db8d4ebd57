"""Repeated images and shared patients: found in splits and folds, said in one line, and nothing said without any."""

import os

import numpy as np
import pytest
import torch

from medlab.data import ImageSet, Info, find_repeats, folds, load
from medlab.data.images import SPLITS

needs_data = pytest.mark.skipif("MEDLAB_DATA" not in os.environ, reason="needs real images: set MEDLAB_DATA")


def image_set(copies=(), n=30, per_patient=1, patients=None, published=True, dtype=torch.float32):
    """Images of noise; each pair of `copies` (to, from) makes one a copy of another. In tens: train, val, test."""
    pixels = torch.randint(0, 256, (n, 1, 4, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for to, source in copies:
        pixels[to] = pixels[source] if isinstance(source, int) else torch.tensor(source)
    images = pixels if dtype == torch.uint8 else pixels.float().div_(255)
    patients = np.arange(n) // per_patient if patients is None else patients
    info = Info("made", "MR", "multi-class", ("a", "b"), "MIT", "", note="Made.")
    return ImageSet(images, torch.arange(n) % 2, patients, info, np.repeat(SPLITS, n // 3) if published else None)


def test_a_split_without_repeats_says_nothing(capsys):
    for published in (True, False):
        whole = image_set(published=published)
        assert all(part.info is whole.info for part in whole.split())
    assert capsys.readouterr().out == ""


def test_images_of_two_parts_are_said_in_one_line_and_noted(capsys):
    parts = image_set([(10, 3), (11, 4), (20, 3), (21, 12), (7, 8)]).split()
    found = (
        "2 of 10 validation images stand in training, too; 2 of 10 test images stand in training or validation, too; "
    )
    found += "9 of all 30 images stand under several patient ids, pixel by pixel"
    assert capsys.readouterr().out == f"made: {found}\n"
    assert [part.info.note for part in parts] == [f"Made. In the split, {found}."] * 3


def test_a_set_that_is_split_again_is_noted_once():
    whole = image_set([(10, 3)])
    whole.info = whole.split()[0].info
    assert whole.split()[0].info.note == whole.info.note


def test_repeats_of_one_patient_in_one_part_are_his(capsys):
    image_set([(1, 0), (4, 3)], per_patient=2, published=False).split()
    assert capsys.readouterr().out == "made: 2 of all 30 images stand under several patient ids, pixel by pixel\n"


def test_images_of_one_gray_value_are_counted_apart(capsys):
    blank = [[[0] * 5] * 4]
    image_set([(5, blank), (15, blank), (16, 2)]).split()
    assert capsys.readouterr().out == (
        "made: 2 of 10 validation images stand in training, too; 4 of all 30 images stand under several patient ids, "
        "pixel by pixel (2 of these hold one gray value only)\n"
    )


def test_patients_that_a_published_split_left_in_two_parts(capsys):
    patients = np.arange(30)
    patients[[10, 20]] = 0, 1
    parts = image_set(patients=patients).split()
    assert capsys.readouterr().out == "made: 2 of 28 patients stand in several parts\n"
    assert parts[2].info.note == "Made. In the split, 2 of 28 patients stand in several parts."


def test_a_split_by_image_was_asked_for_so_its_patients_are_only_noted(capsys):
    parts = image_set(per_patient=10, published=False).split(by="image")
    assert capsys.readouterr().out == ""
    assert parts[0].info.note == "Made. In the split, 3 of 3 patients stand in several parts."


def test_folds_are_scanned(capsys):
    parts = folds(image_set([(k + 1, k) for k in range(0, 29, 2)], published=False), 3)
    out = capsys.readouterr().out
    assert "fold 2 images stand in fold 0 or fold 1, too" in out and out.count("\n") == 1
    assert all("fold 2 images stand" in part.info.note for part in parts)


def test_repeats_are_marked_in_sets_of_bytes_and_of_floats():
    whole = image_set([(10, 3), (12, 5), (22, 11), (23, 24)], per_patient=2)
    train, val, test = (whole[start : start + 10] for start in (0, 10, 20))
    assert np.flatnonzero(find_repeats(val, train)).tolist() == [0, 2]
    assert np.flatnonzero(find_repeats(test, train, val)).tolist() == [2]
    assert np.flatnonzero(find_repeats(whole)).tolist() == [3, 5, 10, 11, 12, 22, 23, 24]
    assert not find_repeats(val[~find_repeats(val, train)], train).any()
    stored = image_set([(10, 3), (12, 5)], dtype=torch.uint8)
    assert np.flatnonzero(find_repeats(val, stored[:10])).tolist() == [0, 2]


def test_a_pixel_that_differs_by_one_bit_is_no_repeat():
    whole = image_set([(10, 3)])
    whole.images[10, 0, 3, 4] = torch.nextafter(whole.images[10, 0, 3, 4], torch.tensor(2.0))
    assert not find_repeats(whole).any()


def test_phantoms_repeat_nothing(capsys):
    load("lung", patients=10).split()
    assert capsys.readouterr().out == ""


@needs_data
def test_pneumoniamnist_repeats_8_validation_images(capsys):
    train, val, test = load("pneumoniamnist").split()
    assert find_repeats(val, train).sum() == 8 and not find_repeats(test, train, val).any()
    said = "8 of 524 validation images stand in training, too; 56 of all 5856 images stand under several patient ids"
    assert capsys.readouterr().out == f"pneumoniamnist: {said}, pixel by pixel\n"
    assert said in val.info.note
