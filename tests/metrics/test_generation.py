"""PSNR, SSIM, FID, KID and inception score of generated images."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import nn

from medlab.metrics import features_of, fid, generation, inception_score, kid, psnr_ssim
from medlab.models import RingDiscriminator, ShallowCNN, SmallCNN


def images(n: int = 6, size: int = 16, seed: int = 0, channels: int = 1) -> torch.Tensor:
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return SmallCNN(width=4)


def test_a_psnr_of_32_83_db_is_an_error_of_5_82_gray_levels():
    real = torch.full((1, 1, 16, 16), 100 / 255)
    found = psnr_ssim(real + 5.82 / 255, real)
    assert found.psnr == pytest.approx(32.83, abs=0.005) and found.pairs == 1
    assert 20 * math.log10(255 / 5.82) == pytest.approx(32.83, abs=0.005)
    eight_bit = torch.full((1, 1, 16, 16), 100, dtype=torch.uint8)
    assert psnr_ssim(eight_bit + 6, eight_bit).psnr == pytest.approx(20 * math.log10(255 / 6), abs=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_identical_images_are_counted_and_have_ssim_1(channels):
    real = images(channels=channels)
    copy = psnr_ssim(real, real, "nearest")
    assert copy == (math.inf, pytest.approx(1, abs=1e-6), 6, 6) and "PSNR inf dB" in str(copy)
    some = torch.cat([real[:2], real[2:] * 0.9])
    found = psnr_ssim(some, real, "nearest")
    assert found.identical == 2 and found.psnr == pytest.approx(psnr_ssim(some[2:], real, "nearest").psnr, abs=1e-4)
    assert "6 pairs, 2 of them identical and left out of the PSNR" in str(found)


def test_ssim_by_hand_for_constant_images():
    dark, light = torch.full((1, 1, 16, 16), 0.2), torch.full((1, 1, 16, 16), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)  # no contrast: the luminance alone
    assert psnr_ssim(dark, light).ssim == pytest.approx(expected, abs=1e-3)


def test_pairing_rules():
    real = images(8)
    fake = (real.flip(0)[:5] + 0.1 * images(5, seed=1)).clamp(0, 1)
    found = {rule: psnr_ssim(fake, real, rule) for rule in generation.PAIRINGS}
    assert found["nearest"].psnr > found["random"].psnr + 3 and found["nearest"].ssim > found["random"].ssim
    assert [found[rule].pairs for rule in ("random", "nearest", "all")] == [5, 5, 40]
    each = [psnr_ssim(one[None], other[None]) for one in fake for other in real]
    assert found["all"].psnr == pytest.approx(np.mean([one.psnr for one in each]), abs=1e-4)
    assert found["all"].ssim == pytest.approx(np.mean([one.ssim for one in each]), abs=1e-5)
    partner = psnr_ssim(fake, real.flip(0)[:5], "nearest")  # the originals are the nearest
    assert found["nearest"] == pytest.approx(partner)


def test_pairs_are_drawn_by_seed_where_there_are_too_many():
    real, fake = images(20), images(20, seed=1)
    some = psnr_ssim(fake, real, "all", max_pairs=30)
    assert some.pairs == 30 and some == psnr_ssim(fake, real, "all", max_pairs=30)
    assert some != psnr_ssim(fake, real, "all", max_pairs=30, seed=1)
    assert psnr_ssim(fake, real) == psnr_ssim(fake, real) != psnr_ssim(fake, real, seed=1)
    assert psnr_ssim(fake, real, "all", max_pairs=10_000).pairs == 400  # more than a chunk


def test_black_surroundings_raise_both_measures_and_a_mask_takes_them_away():
    inside = np.zeros((32, 32), bool)
    inside[10:22, 10:22] = True
    real, fake = images(4, 32) * torch.tensor(inside), images(4, 32, seed=1) * torch.tensor(inside)
    whole, head = psnr_ssim(fake, real), psnr_ssim(fake, real, mask=inside)
    share = inside.mean()
    assert whole.psnr == pytest.approx(head.psnr - 10 * math.log10(share), abs=1e-4)
    assert whole.ssim > head.ssim + 0.2
    assert psnr_ssim(fake, real, mask=np.ones((32, 32))) == pytest.approx(whole)
    other = fake + 0.5 * torch.tensor(~inside)  # what is outside makes no difference to who is nearest
    assert psnr_ssim(other, real, "nearest", mask=inside).psnr == pytest.approx(
        psnr_ssim(fake, real, "nearest", mask=inside).psnr
    )


def test_class_mean_beats_a_real_image_on_psnr():
    """The mean has the least squared error of all single images: a high PSNR is no sign of a good generator."""
    real, unseen = images(50), images(50, seed=1)
    mean = real.mean(0, keepdim=True).expand(50, -1, -1, -1)
    assert psnr_ssim(mean, unseen).psnr > psnr_ssim(real, unseen).psnr + 2


def test_features_are_what_the_last_linear_layer_gets(network):
    network.train()
    network.dropout.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = features_of(network, images(5), batch_size=2)
    assert found.shape == (5, 16) and found.dtype == np.float32
    assert network.training and not network.dropout.training and not network.classifier._forward_pre_hooks
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    network.eval()
    with torch.no_grad():
        logits = network.classifier(torch.from_numpy(found))
        torch.testing.assert_close(logits, network(images(5)))
    assert features_of(ShallowCNN(), images(2, 32)).shape[0] == 2
    points = torch.rand(3, 2, 1, 1)
    assert features_of(RingDiscriminator(32), points).shape == (3, 32)
    with pytest.raises(ValueError, match="no linear layer"):
        features_of(nn.Sequential(nn.Conv2d(1, 1, 1)), images(2))


def test_fid_is_the_frechet_distance_of_two_gaussians(network):
    real, fake = images(80), images(60, seed=1) ** 2
    first, second = (features_of(network, each).astype(float) for each in (real, fake))
    one, two = np.cov(first.T), np.cov(second.T)
    root = sqrtm(one @ two).real
    expected = ((first.mean(0) - second.mean(0)) ** 2).sum() + np.trace(one + two - 2 * root)
    assert fid(real, fake, network) == pytest.approx(expected, rel=1e-3)
    assert fid(fake, real, network) == pytest.approx(expected, rel=1e-3)
    assert fid(real, real, network) == pytest.approx(0, abs=1e-6)


def test_kid_is_the_unbiased_discrepancy(network):
    real, fake = images(30), images(30, seed=1) ** 2
    first, second = (features_of(network, each).astype(float) for each in (real, fake))
    kernel = [(a @ b.T / 16 + 1) ** 3 for a, b in ((first, first), (second, second), (first, second))]
    within = [(k.sum() - np.trace(k)) / (30 * 29) for k in kernel[:2]]
    assert kid(real, fake, network) == pytest.approx(sum(within) - 2 * kernel[2].mean(), rel=1e-4)
    state = torch.get_rng_state()
    assert kid(images(40), fake, network) == kid(images(40), fake, network) != kid(images(40), fake, network, seed=1)
    assert torch.equal(state, torch.get_rng_state())


def test_fid_is_biased_in_small_samples_and_kid_is_not(network):
    """Draws from one distribution: FID falls with their number, KID is 0 on average at any."""
    seeds = range(8)
    found = {
        n: np.mean([[f(images(n, 8, k), images(n, 8, 99 - k), network) for f in (fid, kid)] for k in seeds], 0)
        for n in (20, 200)
    }
    assert found[20][0] > 5 * found[200][0] > 0
    spread = kid(images(20, 8), images(20, 8, seed=1) ** 2, network)
    assert abs(found[20][1]) < 0.1 * spread


def test_a_collapsed_generator_has_a_distance(network):
    real, collapsed = images(20), images(1, seed=1).expand(20, -1, -1, -1)
    assert fid(real, collapsed, network) > fid(real, images(20, seed=2), network)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net: psnr_ssim(images(), images(), "closest"), "unknown pairing 'closest'"),
        (lambda net: psnr_ssim(images(), images(size=24)), "the same channels, height and width"),
        (lambda net: psnr_ssim(images(channels=3), images()), r"fake are \(3, 16, 16\) and real \(1, 16, 16\)"),
        (lambda net: psnr_ssim(images()[0], images()), r"\(N, C, H, W\), got \(1, 16, 16\)"),
        (lambda net: psnr_ssim(images()[:0], images()), "at least one image"),
        (lambda net: psnr_ssim(images() * 2 - 1, images()), r"scale the output of tanh by \(images"),
        (lambda net: psnr_ssim(images() * math.nan, images()), "fake: 6 images hold NaN"),
        (lambda net: psnr_ssim(images(size=8), images(size=8)), "at least 11 pixels"),
        (lambda net: psnr_ssim(images(), images(), mask=np.zeros((16, 16))), "holds 0 pixels"),
        (lambda net: psnr_ssim(images(), images(), mask=np.ones((8, 8))), r"one mask \(16, 16\)"),
        (lambda net: fid(images(), images(1), net), "one fake image has no spread"),
        (lambda net: kid(images(1), images(), net), "one real image has no spread"),
        (lambda net: fid(torch.zeros(4, 1, 16, 16), images(), net), "all real images are the same"),
        (lambda net: fid(images(), images(size=24), net), "the same channels"),
    ],
)
def test_bad_input_says_what_to_do(call, message, network):
    with pytest.raises(ValueError, match=message):
        call(network)


def test_the_bounds_of_the_inception_score():
    for classes in (2, 3, 10):
        sure = np.eye(classes)[np.arange(20 * classes) % classes]
        assert inception_score(sure, splits=1).mean == pytest.approx(classes)
        one = inception_score(np.tile(np.eye(classes)[:1], (40, 1)))
        unsure = inception_score(np.full((40, classes), 1 / classes))
        assert one.mean == pytest.approx(1) == unsure.mean and one.std == pytest.approx(0, abs=1e-9)
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(5), 100)
    score = inception_score(torch.from_numpy(probs), splits=4)
    parts = [math.exp((part * np.log(part / part.mean(0))).sum(1).mean()) for part in np.split(probs, 4)]
    assert 1 < score.mean < 5 and score.mean == pytest.approx(np.mean(parts))
    assert score.std == pytest.approx(np.std(parts))
    assert inception_score(torch.from_numpy(probs).float()).mean == pytest.approx(inception_score(probs).mean, rel=1e-4)


@pytest.mark.parametrize(
    ("probs", "splits", "hint"),
    [
        (np.ones(4), 1, r"must be \(N, K\)"),
        (np.ones((4, 1)), 1, "one column per class"),
        (np.ones((4, 2)), 1, "adds up to 2"),
        (np.array([[2.0, -1.0]]), 1, "softmax"),
        (np.full((4, 2), np.nan), 1, "NaN in 4 rows"),
        (np.full((4, 2), 0.5), 5, "4 images into 5"),
        (np.full((4, 2), 0.5), 0, "splits"),
    ],
)
def test_what_is_no_distribution_is_refused(probs, splits, hint):
    with pytest.raises(ValueError, match=hint):
        inception_score(probs, splits)
