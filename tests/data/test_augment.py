"""Augmentation: moves by known amounts, one draw per image, labels that move along."""

import pytest
import torch

from medlab.data.augment import Augment, _grid

STILL = torch.zeros(1, 7)  # columns: mirror, right, down, turn, size, contrast, brightness
MIRROR, RIGHT, DOWN, TURN, SIZE, CONTRAST, BRIGHTNESS = torch.eye(7)[:, None]


def images(n=1, side=16, channels=1, seed=0):
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(seed))


def labels(n=1, side=16):
    return torch.randint(0, 4, (n, side, side), generator=torch.Generator().manual_seed(1))


def moved(augment, params, given=None, maps=None):
    return augment(images() if given is None else given, labels() if maps is None else maps, params=params)


def test_nothing_asked_for_changes_nothing():
    given, maps = images(5), labels(5)
    out, out_maps = Augment()(given, maps, generator=torch.Generator().manual_seed(0))
    assert torch.equal(out, given) and torch.equal(out_maps, maps)


def test_params_of_zero_change_nothing():
    given = images(channels=3)
    out, maps = Augment(False, 0.2, 30, 0.2, 0.3)(given, labels(), params=STILL)
    torch.testing.assert_close(out, given, atol=1e-5, rtol=0)
    assert torch.equal(maps, labels())


@pytest.mark.parametrize("more", [{}, {"shift": 1e-9}])  # alone, and together with a movement
def test_flip(more):
    out, maps = moved(Augment(flip=True, **more), -MIRROR)
    torch.testing.assert_close(out, images().flip(3), atol=1e-5, rtol=0)
    assert torch.equal(maps, labels().flip(2))
    out, maps = moved(Augment(flip=True, **more), MIRROR)
    torch.testing.assert_close(out, images(), atol=1e-5, rtol=0)
    assert torch.equal(maps, labels())


def test_half_of_the_images_are_flipped():
    given = images().expand(1000, -1, -1, -1)
    out, _ = Augment(flip=True)(given, generator=torch.Generator().manual_seed(0))
    flipped = (out != given).flatten(1).any(1)
    assert 440 < flipped.sum() < 560


@pytest.mark.parametrize("params, step", [(RIGHT, (0, -4)), (-RIGHT, (0, 4)), (DOWN, (-4, 0)), (-DOWN, (4, 0))])
def test_shift_by_known_pixels(params, step):
    out, maps = moved(Augment(shift=0.25), params)  # a quarter of 16 pixels
    inside = (..., slice(4, 12), slice(4, 12))  # what comes from outside the image is the repeated edge
    torch.testing.assert_close(out[inside], images().roll(step, (2, 3))[inside], atol=1e-5, rtol=0)
    assert torch.equal(maps[inside], labels().roll(step, (1, 2))[inside])


def test_edges_are_repeated_outwards():
    out, _ = moved(Augment(shift=0.25), RIGHT)
    torch.testing.assert_close(out[..., 12:], images()[..., -1:].expand(-1, -1, -1, 4), atol=1e-5, rtol=0)


@pytest.mark.parametrize("params, quarters", [(TURN, 1), (-TURN, -1)])
def test_rotation_by_a_right_angle(params, quarters):
    out, maps = moved(Augment(rotate=90), params)
    torch.testing.assert_close(out, images().rot90(quarters, (2, 3)), atol=1e-4, rtol=0)
    assert torch.equal(maps, labels().rot90(quarters, (1, 2)))


def test_scale_makes_things_larger_and_smaller():
    square = torch.zeros(1, 1, 32, 32)
    square[..., 12:20, 12:20] = 1
    for params, side in ((SIZE, 12), (-SIZE, 4)):
        out, maps = moved(Augment(scale=0.5), params, square, square[0].long())
        assert out.sum().sqrt() == pytest.approx(side, abs=0.5)
        assert maps.sum().sqrt() == pytest.approx(side, abs=0.5)


def test_contrast_and_brightness():
    given = images() * 0.2 + 0.4  # far from 0 and 1
    out, _ = moved(Augment(intensity=0.5), CONTRAST, given)
    torch.testing.assert_close(out, given.mean() + 1.5 * (given - given.mean()))
    out, maps = moved(Augment(intensity=0.1), -BRIGHTNESS, given)
    torch.testing.assert_close(out, given - 0.1)
    assert torch.equal(maps, labels())


def test_every_image_has_a_draw_of_its_own():
    same = images().expand(20, -1, -1, -1)
    for augment in (Augment(shift=0.2), Augment(rotate=20), Augment(scale=0.2), Augment(intensity=0.2)):
        out, _ = augment(same, generator=torch.Generator().manual_seed(0))
        assert len(out.flatten(1).unique(dim=0)) == 20


@pytest.mark.parametrize("seed", range(4))
def test_params_repeat_by_seed_and_the_range_stays(seed):
    augment, given = Augment(True, 0.3, 45, 0.4, 0.8), images(40, seed=seed)
    first, _ = augment(given, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(first, augment(given, generator=torch.Generator().manual_seed(seed))[0])
    assert not torch.equal(first, augment(given, generator=torch.Generator().manual_seed(seed + 1))[0])
    assert first.min() >= 0 and first.max() <= 1
    params = augment.make_params(40, torch.Generator().manual_seed(seed))
    assert torch.equal(first, augment(given, params=params)[0])
    half = torch.cat([augment(given[:15], params=params[:15])[0], augment(given[15:], params=params[15:])[0]])
    torch.testing.assert_close(half, first)  # a team of processes augments as one would


def test_labels_of_other_kinds_and_types():
    classes = torch.arange(3)
    assert Augment(rotate=20)(images(3), classes, generator=torch.Generator())[1] is classes
    for dtype in (torch.int64, torch.uint8):
        assert Augment(rotate=20)(images(), labels().to(dtype), params=TURN)[1].dtype == dtype
    assert Augment(rotate=20)(images(), params=TURN)[1] is None


def test_images_that_are_not_square():
    matrices = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.affine_grid(matrices, [3, 1, 6, 9], align_corners=False)
    torch.testing.assert_close(_grid(matrices, 6, 9), expected)
    given = torch.rand(1, 1, 8, 16)
    out, _ = Augment(shift=0.25)(given, params=RIGHT + DOWN)
    torch.testing.assert_close(out[..., :6, :12], given[..., 2:, 4:], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["shift", "rotate", "scale", "intensity"])
def test_negative_arguments(name):
    with pytest.raises(ValueError, match=f"Augment: {name} must not be negative, got -0.1"):
        Augment(**{name: -0.1})


def test_scale_of_one_and_volumes():
    with pytest.raises(ValueError, match="Augment: scale must stay below 1, got 1"):
        Augment(scale=1)
    with pytest.raises(ValueError, match=r"Augment takes images \(N, C, H, W\), got \(1, 1, 4, 4, 4\)"):
        Augment()(torch.rand(1, 1, 4, 4, 4))
