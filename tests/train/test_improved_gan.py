"""The techniques of Salimans et al.: layers, losses, games and the inception score, against formulas and by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from medlab.data import load
from medlab.models import DCDiscriminator, DCGenerator, MinibatchDiscrimination, VirtualBatchNorm, WithReference
from medlab.train import (
    FeatureMatching,
    HistoricalAveraging,
    OneSidedSmoothing,
    SemiSupervised,
    fit_gan,
    sample,
    seed_everything,
)
from medlab.train.gan_losses import Batch, NonSaturating, discriminator_bce, feature_matching_loss, real_logit

# Minibatch discrimination


def test_closeness_is_the_printed_sum():
    layer, features = MinibatchDiscrimination(6, 4, 3).requires_grad_(False), torch.randn(5, 6)
    out = layer(features)
    assert out.shape == (5, 10) and torch.equal(out[:, :6], features)
    for i in range(5):
        for b in range(4):
            near = [(features[i] - features[j]) @ layer.weight[:, b] for j in range(5)]
            assert out[i, 6 + b].item() == pytest.approx(sum(math.exp(-n.abs().sum()) for n in near), rel=1e-4)


def test_closeness_is_largest_when_all_rows_are_equal():
    layer = MinibatchDiscrimination(6, 4, 3)
    apart, alike = torch.randn(5, 6), torch.randn(1, 6).expand(5, 6)
    assert torch.allclose(layer(alike)[:, 6:], torch.full((5, 4), 5.0), atol=1e-5)
    assert (layer(apart)[:, 6:] < 5).all() and (layer(apart)[:, 6:] > 1).all()
    assert (layer(torch.cat([apart, apart]))[:, 6:] > layer(apart)[:, 6:].repeat(2, 1)).all()


# Virtual batch normalization


def test_an_image_is_normalized_by_the_reference_and_itself():
    layer, x = VirtualBatchNorm(3, reference=4, eps=0.0), torch.randn(6, 3, 5, 5) * 2 + 1
    layer.weight.data.uniform_(1, 2)
    layer.bias.data.uniform_(-1, 1)
    out, weight, bias = layer(x), layer.weight[:, None, None], layer.bias[:, None, None]
    for row in (4, 5):
        mean = 0.8 * x[:4].mean((0, 2, 3)) + 0.2 * x[row].mean((1, 2))
        square = 0.8 * x[:4].square().mean((0, 2, 3)) + 0.2 * x[row].square().mean((1, 2))
        std = (square - mean**2).sqrt()
        assert torch.allclose(out[row], weight * (x[row] - mean[:, None, None]) / std[:, None, None] + bias, atol=1e-5)
    normal = nn.functional.batch_norm(x[:4], None, None, layer.weight, layer.bias, training=True, eps=1e-12)
    assert torch.allclose(out[:4], normal, atol=1e-5)  # the reference normalizes itself


def test_an_image_does_not_change_when_its_companions_do():
    seed_everything(0)
    generator = DCGenerator(8, width=8, latent=4, kernel=4)
    rng = torch.Generator().manual_seed(0)
    reference, z = generator.sample_latent(6, rng), generator.sample_latent(3, rng)
    virtual = WithReference(generator, reference).train()
    together, alone = virtual(z), virtual(z[:1])
    assert together.shape == (3, 1, 8, 8) and torch.allclose(together[:1], alone, atol=1e-6)
    assert torch.allclose(virtual(torch.cat([z[:1], 5 * z]))[:1], alone, atol=1e-6)
    plain = DCGenerator(8, width=8, latent=4, kernel=4).train()
    assert not torch.allclose(plain(z)[:1], plain(torch.cat([z[:1], 5 * z]))[:1], atol=1e-3)


def test_what_has_no_norm_or_no_reference_is_refused():
    with pytest.raises(ValueError, match="no BatchNorm2d"):
        WithReference(nn.Linear(2, 2), torch.zeros(4, 2))
    with pytest.raises(ValueError, match="no variance"):
        WithReference(DCGenerator(8, width=8), torch.zeros(1, 100))


# Losses and games


def test_feature_matching_is_zero_for_equal_means_and_leaves_the_real_side_alone():
    real, fake = torch.randn(8, 5, requires_grad=True), torch.randn(8, 5, requires_grad=True)
    assert feature_matching_loss(real, real).item() == 0
    loss = feature_matching_loss(real, fake)
    assert loss.item() == pytest.approx(((real.mean(0) - fake.mean(0)) ** 2).sum().item(), rel=1e-5)
    loss.backward()
    assert real.grad is None and fake.grad.abs().sum() > 0


def test_the_best_discriminator_of_smoothed_labels():
    """Optimal D on four points: target p / (p + q), nowhere with the fakes' density q in its numerator."""
    p, q = torch.tensor([5, 3, 2, 1]), torch.tensor([1, 2, 3, 5])  # how often each point is drawn, of 11
    for target in (0.75, 0.9, 1.0):
        logits = torch.zeros(4, requires_grad=True)
        optimizer = torch.optim.LBFGS([logits], lr=1.0, max_iter=100, tolerance_grad=1e-8)

        def loss(target=target, logits=logits, optimizer=optimizer):
            optimizer.zero_grad()
            value = discriminator_bce(logits.repeat_interleave(p), logits.repeat_interleave(q), target)
            value.backward()
            return value

        optimizer.step(loss)
        assert torch.allclose(logits.sigmoid(), target * p / (p + q), atol=1e-3)


def test_smoothing_at_one_is_the_plain_game():
    seed_everything(0)
    players, real, fake = DCDiscriminator(8, width=4), torch.rand(4, 1, 8, 8), torch.rand(4, 1, 8, 8)
    given = players.eval(), Batch(real), Batch(fake)
    plain, one = (
        NonSaturating().discriminator_loss(*given)[0],
        OneSidedSmoothing(target=1.0).discriminator_loss(*given)[0],
    )
    smooth = OneSidedSmoothing(target=0.9).discriminator_loss(*given)[0]
    assert torch.allclose(plain, one) and not torch.allclose(plain, smooth)
    with pytest.raises(ValueError, match="0.9 is customary"):
        OneSidedSmoothing(target=0.1)


def test_historical_averaging_adds_the_gradient_of_its_penalty():
    torch.manual_seed(0)
    weights, past = nn.Linear(3, 2, bias=False), []
    optimizer = HistoricalAveraging(weight=0.3, lr=0.1).make_optimizer(weights)
    for _ in range(5):
        theta, slope = weights.weight.detach().clone().requires_grad_(), torch.randn(2, 3)
        mean = torch.stack(past).mean(0) if past else theta.detach()  # of the weights after steps 1 to t
        (pull,) = torch.autograd.grad(0.3 * (theta - mean).square().sum(), theta)
        weights.weight.grad = slope.clone()
        optimizer.step()
        torch.testing.assert_close(weights.weight.grad, slope + pull)
        past.append(weights.weight.detach().clone())


def test_historical_averaging_pulls_both_players_and_goes_on_after_a_stop(tmp_path):
    def trained(epochs=2, **options):
        seed_everything(0)
        pair = DCGenerator(16, width=8, latent=4), DCDiscriminator(16, width=4)
        options = {"loss": HistoricalAveraging(weight=10.0), "device": "cpu", "progress": False} | options
        fit_gan(*pair, data, epochs=epochs, steps_per_epoch=3, batch_size=8, lr=1e-2, **options)
        return [torch.cat([p.detach().flatten() for p in player.parameters()]) for player in pair]

    data, file = load("lung", size=16, n=24), tmp_path / "gan.pt"
    whole, plain = trained(), trained(loss="non-saturating")
    assert not any(torch.allclose(*both, atol=1e-3) for both in zip(whole, plain))
    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint=file, callback=stop)
    for resumed, once in zip(trained(checkpoint=file, resume=True), whole, strict=True):
        assert torch.equal(resumed, once)


def stop(*_):
    raise KeyboardInterrupt


def test_k_outputs_are_a_discriminator_with_a_fake_class_at_zero():
    logits = torch.randn(7, 4)
    with_fake = torch.cat([logits, torch.zeros(7, 1)], 1).softmax(1)
    assert torch.allclose(real_logit(logits).sigmoid(), 1 - with_fake[:, 4], atol=1e-6)


class Classes(nn.Module):
    """Features and K logits that need no convolution."""

    def __init__(self, classes=3):
        super().__init__()
        self.flat, self.head = nn.Sequential(nn.Flatten(), nn.Linear(64, 8)), nn.Linear(8, classes)

    def features(self, images):
        return self.flat(images)

    def forward(self, images):
        return self.head(self.features(images))


def test_the_semi_supervised_loss_is_that_of_the_authors_code():
    torch.manual_seed(0)
    d, real, fake, one = Classes(), torch.randn(6, 1, 8, 8), torch.randn(6, 1, 8, 8), torch.rand(1, 1, 8, 8)
    game = SemiSupervised(images=one, labels=torch.tensor([2]))
    loss, notes = game.discriminator_loss(d, Batch(real, torch.full((6,), 99)), Batch(fake))  # targets unread
    lse = [d(images).logsumexp(1) for images in (real, fake)]
    unsupervised = 0.5 * (-lse[0].mean() + softplus(lse[0]).mean() + softplus(lse[1]).mean())
    supervised = -d(2 * one - 1).log_softmax(1)[0, 2]
    assert loss.item() == pytest.approx((supervised + unsupervised).item(), rel=1e-5)
    assert notes["class_loss"].item() == pytest.approx(supervised.item(), rel=1e-5)
    matching = game.generator_loss(d, Batch(real), Batch(fake))
    assert matching.item() == pytest.approx(feature_matching_loss(d.features(real), d.features(fake)).item(), rel=1e-5)
    fooling = SemiSupervised(images=one, labels=torch.tensor([2]), feature_matching=False)
    assert fooling.generator_loss(d, Batch(real), Batch(fake)).item() == pytest.approx(
        softplus(-lse[1]).mean().item(), rel=1e-5
    )
    with pytest.raises(ValueError, match="give one of each"):
        SemiSupervised(images=one, labels=torch.tensor([0, 1]))


def test_fit_gan_plays_them_all():
    data = load("lung", size=16, n=150)
    few = data[:10]
    for game in (
        FeatureMatching(),
        HistoricalAveraging(),
        OneSidedSmoothing(),
        SemiSupervised(images=few.images, labels=few.targets),
        SemiSupervised(images=few.images, labels=few.targets, feature_matching=False),
    ):
        seed_everything(0)
        generator, discriminator = DCGenerator(16, width=8, latent=4), DCDiscriminator(16, width=4)
        if isinstance(game, SemiSupervised):
            discriminator.head = nn.Linear(discriminator.head.in_features, 5)
        else:
            features = discriminator.head.in_features
            discriminator.head = nn.Sequential(MinibatchDiscrimination(features, 4, 3), nn.Linear(features + 4, 1))
        rng = torch.Generator().manual_seed(0)
        virtual = WithReference(generator, generator.sample_latent(8, rng))
        before = [p.clone() for p in virtual.parameters()]
        history = fit_gan(virtual, discriminator, data, epochs=1, steps_per_epoch=2, batch_size=8, loss=game,
                          device="cpu", progress=False)  # fmt: skip
        assert all(np.isfinite(history.train_loss)) and len(history.train_loss) == 1
        assert any(not torch.equal(a, b) for a, b in zip(before, virtual.parameters()))
        assert sample(virtual, 3).shape == (3, 1, 16, 16)
