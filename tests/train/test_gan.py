"""`fit_gan`: the networks of the papers, the four games against their formulas, and all that must not go wrong."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from medlab.data.images import ImageSet, Info
from medlab.models import DCDiscriminator, DCGenerator, WGANCritic, count_parameters
from medlab.train import CheckpointError, fit_gan, sample
from medlab.train.gan_losses import (
    Batch,
    GANLoss,
    GradientPenalty,
    NonSaturating,
    Saturating,
    Wasserstein,
    gradient_norms,
    resolve_loss,
)

SIZE = 8


def blobs(n: int = 24, size: int = SIZE, classes: int = 2) -> ImageSet:
    """A bright spot left or right, in noise; its side is the class."""
    generator = torch.Generator().manual_seed(1)
    sides = torch.arange(n) % classes
    images = 0.1 * torch.rand(n, 1, size, size, generator=generator)
    for image, side in zip(images, sides):
        image[0, 2:5, 1 + 3 * side : 4 + 3 * side] += 0.8
    info = Info("blobs", "none", "multi-class", tuple(map(str, range(classes))), "none", "none", phantom=True)
    return ImageSet(images, sides, np.arange(n), info)


def players(critic: bool = False, norm: bool = True, **options) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    generator = DCGenerator(SIZE, latent=3, width=8, kernel=4, **options)
    other = WGANCritic(SIZE, width=4, norm=norm) if critic else DCDiscriminator(SIZE, width=4, kernel=4)
    return generator, other


def train(pair: tuple[nn.Module, nn.Module], data: ImageSet | None = None, **settings) -> object:
    usual = {"epochs": 2, "steps_per_epoch": 3, "batch_size": 8, "precision": "float32", "progress": False}
    return fit_gan(*pair, data or blobs(), **usual | settings)


def same(one: nn.Module, other: nn.Module) -> bool:
    """All weights and all statistics of batch normalization, bit for bit."""
    theirs = other.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in one.state_dict().items())


# --- networks --------------------------------------------------------------------------------------------------------


def test_the_papers_sizes():
    assert count_parameters(DCGenerator(128, 3)) == 19_055_171
    assert count_parameters(DCDiscriminator(128, 3)) == 17_433_089
    assert count_parameters(DCGenerator(128, width=512, kernel=4, noise="normal", tanh=False)) == 3_606_977
    assert count_parameters(WGANCritic()) == 2_795_937


@pytest.mark.parametrize(("activation", "low", "high"), [("elu", 0.0, 0.02), ("leaky_relu", 0.1, 2.0)])
def test_clipped_weights_make_a_critic_with_elu_almost_linear(activation, low, high):
    torch.manual_seed(0)
    critic, images = WGANCritic(16, width=8, activation=activation), 2 * torch.rand(64, 1, 16, 16) - 1
    with torch.no_grad():
        for weight in critic.parameters():
            weight.clamp_(-0.01, 0.01)
        for _ in range(50):
            critic.train()(images)  # statistics of batch normalization
        half_way = critic.eval()((images[:32] + images[32:]) / 2) - (critic(images[:32]) + critic(images[32:])) / 2
        assert low < half_way.square().mean().sqrt() / critic(images).std() < high


def test_the_five_rules_of_dcgan():
    generator, discriminator = DCGenerator(64, width=64), DCDiscriminator(64, width=8)
    for network in (generator, discriminator):
        layers = [m for m in network.modules() if not list(m.children())]
        assert not any("Pool" in type(layer).__name__ for layer in layers)  # rule 1
        convolutions = [m for m in layers if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
        assert all(layer.stride == (2, 2) for layer in convolutions)
        assert sum(isinstance(m, nn.BatchNorm2d) for m in layers) == 4 if network is generator else 3  # rule 2
        assert sum(isinstance(m, nn.Linear) for m in layers) == 1  # rule 3
    shapes = [type(m).__name__ for m in generator.to_image] + [type(m).__name__ for m in discriminator.features[0]]
    assert shapes == ["ConvTranspose2d", "Tanh", "Conv2d", "LeakyReLU"]  # rules 2, 4 and 5: no norm at either end
    assert sum(isinstance(m, nn.ReLU) for m in generator.modules()) == 4
    slopes = [m.negative_slope for m in discriminator.modules() if isinstance(m, nn.LeakyReLU)]
    assert slopes == [0.2] * 4


def test_weights_start_as_in_the_authors_code():
    torch.manual_seed(0)
    generator, discriminator = DCGenerator(32, width=64), DCDiscriminator(32, width=16)
    for layer in (*generator.modules(), *discriminator.modules()):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.weight.numel() > 5000:
            assert abs(layer.weight.std().item() - 0.02) < 0.001 and abs(layer.weight.mean().item()) < 0.001
        if isinstance(layer, nn.BatchNorm2d):
            assert 0.9 < layer.weight.mean() < 1.1 and layer.weight.std() > 0


@pytest.mark.parametrize("kernel", [4, 5])
@pytest.mark.parametrize("size", [8, 16, 32, 64])
def test_any_size_that_doubles_from_four(size, kernel):
    generator = DCGenerator(size, 3, latent=5, width=16, kernel=kernel)
    images = generator(generator.sample_latent(2, torch.Generator()))
    assert images.shape == (2, 3, size, size) and images.abs().max() < 1
    assert DCDiscriminator(size, 3, width=2, kernel=kernel)(images).shape == (2,)
    assert WGANCritic(size, 3, width=2, kernel=kernel)(images).shape == (2,)


def test_features_and_head_make_the_discriminator():
    discriminator, images = DCDiscriminator(16, width=4).eval(), torch.rand(3, 1, 16, 16)
    features = discriminator.features(images)
    assert features.shape == (3, discriminator.head.in_features)
    assert torch.equal(discriminator.head(features).squeeze(1), discriminator(images))


def test_the_noise_is_of_the_kind_that_was_asked_for():
    rng = torch.Generator().manual_seed(0)
    uniform, normal = (
        DCGenerator(8, width=4).sample_latent(500, rng),
        DCGenerator(8, width=4, noise="normal").sample_latent(500, rng),
    )
    assert uniform.shape == (500, 100) and uniform.min() < -0.99 and 0.99 < uniform.max() <= 1
    assert abs(normal.std() - 1) < 0.02 and normal.max() > 3


@pytest.mark.parametrize("size", [0, 4, 12, 48, 100, 32.0])
def test_sizes_that_cannot_be(size):
    said = "a whole number" if size in (0, 32) else "4 times a power of two .*: resize or pad the images"
    for network in (DCGenerator, DCDiscriminator, WGANCritic):
        with pytest.raises(ValueError, match=f"size must be {said}"):
            network(size)


def test_other_networks_that_cannot_be():
    with pytest.raises(ValueError, match="latent must be a whole number of at least 1, got 0"):
        DCGenerator(latent=0)
    with pytest.raises(ValueError, match="unknown noise 'gauss'.*Allowed: normal, uniform"):
        DCGenerator(noise="gauss")
    with pytest.raises(ValueError, match="width 4 cannot be halved 3 times; take at least 8"):
        DCGenerator(64, width=4)
    with pytest.raises(ValueError, match="unknown activation 'elu2'. Did you mean 'elu'"):
        DCDiscriminator(activation="elu2")


# --- the games against their formulas --------------------------------------------------------------------------------


def linear_critic() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 1, bias=False), nn.Flatten(0))


def batches() -> tuple[Batch, Batch]:
    torch.manual_seed(3)
    return Batch(torch.randn(5, 1, 2, 2)), Batch(torch.randn(5, 1, 2, 2))


def test_gan_losses():
    critic, (real, fake) = linear_critic(), batches()
    d_real, d_fake = critic(real.images).sigmoid(), critic(fake.images).sigmoid()
    loss, notes = NonSaturating().discriminator_loss(critic, real, fake)
    torch.testing.assert_close(loss, -(d_real.log().mean() + (1 - d_fake).log().mean()))
    assert notes["accuracy"] == torch.cat([d_real > 0.5, d_fake <= 0.5]).float().mean()
    torch.testing.assert_close(NonSaturating().generator_loss(critic, real, fake), -d_fake.log().mean())
    torch.testing.assert_close(Saturating().generator_loss(critic, real, fake), (1 - d_fake).log().mean())


def test_wgan_losses_and_clipping():
    critic, (real, fake) = linear_critic(), batches()
    gap = critic(real.images).mean() - critic(fake.images).mean()
    loss, notes = Wasserstein().discriminator_loss(critic, real, fake)
    assert torch.equal(loss, -gap) and torch.equal(notes["gap"], gap)
    torch.testing.assert_close(Wasserstein().generator_loss(critic, real, fake), -critic(fake.images).mean())
    before = critic[1].weight.clone()
    Wasserstein(clip=0.1).after_discriminator_step(critic)
    assert torch.equal(critic[1].weight, before.clamp(-0.1, 0.1)) and before.abs().max() > 0.1


def test_gradient_penalty():
    critic, (real, fake) = linear_critic(), batches()
    slope = critic[1].weight.norm()  # of a linear critic, everywhere
    torch.testing.assert_close(gradient_norms(critic, real.images, fake.images), slope.expand(5))
    gap = critic(real.images).mean() - critic(fake.images).mean()
    loss, notes = GradientPenalty(weight=7.0).discriminator_loss(critic, real, fake)
    torch.testing.assert_close(loss, 7 * (slope - 1) ** 2 - gap)
    torch.testing.assert_close(notes["gradient_norm"], slope)
    (push,) = torch.autograd.grad(7 * (slope - 1) ** 2 - gap, critic[1].weight)
    torch.testing.assert_close(torch.autograd.grad(loss, critic[1].weight)[0], push)


def test_optimizers_are_those_of_the_papers():
    layer = nn.Linear(2, 2)
    adam, rmsprop, penalty = (game().make_optimizer(layer) for game in (NonSaturating, Wasserstein, GradientPenalty))
    assert isinstance(adam, torch.optim.Adam) and adam.defaults["lr"] == 2e-4 and adam.defaults["betas"] == (0.5, 0.999)
    assert isinstance(rmsprop, torch.optim.RMSprop) and rmsprop.defaults["lr"] == 5e-5
    assert rmsprop.defaults["momentum"] == 0
    assert penalty.defaults["lr"] == 1e-4 and penalty.defaults["betas"] == (0.5, 0.9)
    assert [game().critic_steps for game in (NonSaturating, Saturating, Wasserstein, GradientPenalty)] == [1, 1, 5, 5]


def test_a_game_by_name():
    assert resolve_loss("wgan") == Wasserstein() and resolve_loss(own := Wasserstein(clip=1.0)) is own
    with pytest.raises(ValueError, match="unknown loss 'wgangp'. Did you mean 'wgan-gp'"):
        resolve_loss("wgangp")
    with pytest.raises(ValueError, match="clip must be positive, got 0"):
        Wasserstein(clip=0)


# --- the training ----------------------------------------------------------------------------------------------------


def test_one_step_of_a_gan_is_that_of_the_textbook():
    generator, discriminator = players()
    ours = deepcopy(generator), deepcopy(discriminator)
    data = blobs(8)
    train(ours, data, epochs=1, steps_per_epoch=1, seed=2)
    rng = torch.Generator().manual_seed(2 * 1_000_003)
    order = torch.randperm(8, generator=rng)
    real, noise = 2 * data.images[order] - 1, generator.sample_latent(8, rng)
    adams = [torch.optim.Adam(p.parameters(), 2e-4, (0.5, 0.999), fused=True) for p in (generator, discriminator)]
    fake = generator(noise)
    on_real, on_fake = discriminator(real).sigmoid(), discriminator(fake.detach()).sigmoid()
    (-on_real.log().mean() - (1 - on_fake).log().mean()).backward()
    adams[1].step()
    (-discriminator(fake).sigmoid().log().mean()).backward()
    adams[0].step()
    for mine, theirs in zip(ours, (generator, discriminator)):
        for p, q in zip(mine.parameters(), theirs.parameters()):
            torch.testing.assert_close(p, q, atol=2e-5, rtol=0)  # a step of Adam is up to 2e-4


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("loss", ["non-saturating", "saturating", "wgan", "wgan-gp"])
def test_every_game_moves_both_players_and_repeats(loss, precision):
    pair = players(critic=loss.startswith("wgan"), norm=loss != "wgan-gp", tanh=False)
    again, before = deepcopy(pair), deepcopy(pair)
    history = train(pair, loss=loss, precision=precision)
    assert train(again, loss=loss, precision=precision).train_loss == history.train_loss
    assert all(same(*both) for both in zip(pair, again)) and not any(same(*both) for both in zip(pair, before))
    assert len(history) == 2 and np.isfinite(history.train_loss).all()
    assert ("gap" if loss.startswith("wgan") else "accuracy") in history.metrics
    assert not pair[0].training and not pair[1].training
    assert all(p.requires_grad for p in pair[1].parameters())


def test_every_weight_of_a_wgan_critic_is_clipped_after_every_step():
    widest, steps = [], []

    class Watching(Wasserstein):
        def after_discriminator_step(self, critic):
            super().after_discriminator_step(critic)
            widest.append(max(p.abs().max().item() for p in critic.parameters()))

        def generator_loss(self, *given):
            steps.append(len(widest))
            return super().generator_loss(*given)

    train(players(critic=True), loss=Watching(lr=0.01))
    assert steps == [5, 10, 15, 20, 25, 30] and all(value == np.float32(0.01) for value in widest)


def test_generator_and_discriminator_have_their_own_learning_rates():
    rates = []

    class Watching(NonSaturating):
        def make_optimizer(self, network):
            rates.append(self.lr)
            return super().make_optimizer(network)

    train(players(), loss=Watching(), lr=1e-3, discriminator_lr=1e-4)
    train(players(), loss=Watching(), lr=1e-3)
    assert rates == [1e-3, 1e-4, 1e-3, 1e-3]


def test_every_image_comes_once_before_any_comes_twice():
    seen = []

    class Watching(NonSaturating):
        def discriminator_loss(self, discriminator, real, fake):
            seen.extend((real.images / 2 + 0.5).amax((1, 2, 3)).tolist())
            assert torch.equal(real.labels, (real.images[..., 4:].amax((1, 2, 3)) > 0).long())  # classes come along
            return super().discriminator_loss(discriminator, real, fake)

    train(players(), epochs=1, steps_per_epoch=6, loss=Watching())
    marks = [round(value, 5) for value in seen]
    assert len(set(marks[:24])) == 24 and sorted(marks[:24]) == sorted(marks[24:])


@pytest.mark.parametrize(("loss", "steps"), [(NonSaturating, 3), (Wasserstein, 1)])  # 24 images: 3 batches of 8
def test_by_default_an_epoch_is_a_pass_of_the_discriminator(loss, steps):
    made = []

    class Counting(loss):
        def generator_loss(self, *given):
            made.append(1)
            return super().generator_loss(*given)

    train(players(), steps_per_epoch=None, epochs=1, loss=Counting())
    assert len(made) == steps


def test_the_learning_rate_replaces_that_of_a_loss_of_ones_own():
    class Own(GANLoss):
        lr, critic_steps = 1.0, 1
        discriminator_loss, generator_loss = NonSaturating.discriminator_loss, NonSaturating.generator_loss

        def make_optimizer(self, network):
            return torch.optim.Adam(network.parameters(), self.lr, betas=(0.5, 0.999), fused=True)

    loss, pair, same_pair = Own(), players(), players()
    assert train(pair, loss=loss, lr=1e-3).train_loss == train(same_pair, lr=1e-3).train_loss
    assert all(same(*both) for both in zip(pair, same_pair)) and loss.lr == 1.0


def test_the_average_takes_the_generators_place():
    plain, averaged = players(), players()
    train(plain)
    states = []
    train(averaged, ema=0.9, callback=lambda images, history: states.append(images))
    assert same(plain[1], averaged[1]) and not same(plain[0], averaged[0])  # averaging changes no training
    by_hand, states = None, []
    for steps in range(1, 7):  # the same training, stopped after each of its six steps of one epoch
        pair = players()
        train(pair, epochs=1, steps_per_epoch=steps)
        states.append([p.detach().clone() for p in pair[0].parameters()])
    once = players()
    train(once, epochs=1, steps_per_epoch=6, ema=0.9)
    for state in states:
        by_hand = state if by_hand is None else [0.9 * old + 0.1 * new for old, new in zip(by_hand, state)]
    for p, q in zip(once[0].parameters(), by_hand):
        torch.testing.assert_close(p, q)


def test_watch_sees_the_same_noise_after_every_epoch():
    seen, pair = [], players(tanh=False)
    history = train(pair, epochs=3, callback=lambda images, h: seen.append((images, len(h))))
    assert [length for _, length in seen] == [1, 2, 3] and len(history) == 3
    assert all(images.shape == (64, 1, SIZE, SIZE) and 0 <= images.min() <= images.max() <= 1 for images, _ in seen)
    torch.testing.assert_close(seen[-1][0], sample(pair[0], 64))
    unwatched = players(tanh=False)
    train(unwatched, epochs=3)
    assert same(pair[0], unwatched[0])  # looking changes nothing


class Conditional(nn.Module):
    """Paints the class it is asked for, more or less."""

    classes = 2

    def __init__(self):
        super().__init__()
        self.inner = DCGenerator(SIZE, latent=4, width=8)
        self.side = nn.Parameter(torch.zeros(2))

    def sample_latent(self, n, rng):
        return self.inner.sample_latent(n, rng)

    def forward(self, z, labels):
        return self.inner(z) + self.side[labels][:, None, None, None]


def test_a_conditional_generator_gets_labels():
    asked = []

    class Watching(NonSaturating):
        def generator_loss(self, discriminator, real, fake):
            asked.extend(fake.labels.tolist())
            return super().generator_loss(discriminator, real, fake)

    torch.manual_seed(0)
    generator = Conditional()
    train((generator, players()[1]), loss=Watching(), ema=0.5, callback=lambda images, history: None)
    assert 12 < sum(asked) < 36 and len(asked) == 48 and generator.side.abs().max() > 0
    with torch.no_grad():
        generator.side[1] = 3.0
    white = sample(generator, 6, labels=torch.tensor([0, 1, 0, 1, 1, 0])).amin((1, 2, 3)) == 1
    assert white.tolist() == [False, True, False, True, True, False]
    assert 5 < (sample(generator, 40).amin((1, 2, 3)) == 1).sum() < 35
    with pytest.raises(ValueError, match="3 labels for 2 images"):
        sample(generator, 2, labels=torch.zeros(3, dtype=torch.long))


# --- samples ---------------------------------------------------------------------------------------------------------


def test_samples_depend_on_the_seed_and_not_on_the_batch():
    generator = players(tanh=False)[0].train()
    images = sample(generator, 7, seed=1)
    assert images.shape == (7, 1, SIZE, SIZE) and images.dtype == torch.float32
    torch.testing.assert_close(sample(generator, 7, seed=1, batch_size=2), images)
    assert not torch.equal(sample(generator, 7), images) and generator.training
    with torch.no_grad():
        generator.to_image[0].bias += 5.0
    assert sample(generator, 2).min() == 1  # clipped when measured, not before
    with pytest.raises(ValueError, match="n must be a whole number of at least 1, got 0"):
        sample(generator, 0)
    with pytest.raises(ValueError, match="2 labels for 2 images of a generator of 0 classes"):
        sample(generator, 2, labels=torch.zeros(2, dtype=torch.long))


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"steps_per_epoch": 0}, "steps_per_epoch must be a whole number of at least 1, got 0"),
        ({"batch_size": 1}, "batch_size must be a whole number of at least 2, got 1"),
        ({"batch_size": 25}, "batch_size 25 is larger than blobs with its 24 images; take at most 24"),
        ({"lr": 0.0}, "lr must be positive, got 0.0; None takes the paper's, here 0.0002"),
        ({"lr": float("nan")}, "lr must be positive, got nan"),
        ({"discriminator_lr": -1.0}, "discriminator_lr must be positive, got -1.0"),
        ({"ema": 1.0}, "ema must lie between 0 and 1, such as 0.999, got 1.0"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"loss": "hinge"}, "unknown loss 'hinge'.*Allowed: non-saturating, saturating, wgan, wgan-gp"),
        ({"resume": True}, "resume=True needs `checkpoint`"),
    ],
)  # fmt: skip
def test_bad_arguments(settings, message):
    pair, before = players(), players()
    with pytest.raises(ValueError, match=message):
        train(pair, **settings)
    assert all(same(*both) for both in zip(pair, before))


@pytest.mark.parametrize("loss", ["non-saturating", "wgan"])
def test_a_sigmoid_is_refused(loss):
    generator, critic = players(critic=True)
    with pytest.raises(ValueError, match="Sequential has a Sigmoid: the losses take logits .* or scores without bound"):
        train((generator, nn.Sequential(critic, nn.Sigmoid())), loss=loss)


def test_a_gradient_penalty_with_batch_normalization_is_refused():
    mixing = DCGenerator(16, width=8), WGANCritic(16, width=2)
    with pytest.raises(ValueError, match="the gradient penalty is taken image by image and batch normalization mixes"):
        train(mixing, blobs(size=16), loss="wgan-gp")


def test_images_that_nothing_can_be_learned_from():
    one = blobs(1)
    with pytest.raises(ValueError, match="batch_size 2 is larger than blobs with its 1 images; .* copies the few it"):
        train(players(), one, batch_size=2)
    info = replace(blobs().info, name="gray")
    gray = ImageSet(torch.full((9, 1, SIZE, SIZE), 0.5), torch.arange(9) % 2, np.arange(9), info)
    with pytest.raises(ValueError, match="all 9 images of gray are the same: there is nothing to learn"):
        train(players(), gray)
    info = Info("volume", "none", "multi-class", ("0", "1"), "none", "none", phantom=True)
    volume = ImageSet(torch.rand(9, 1, 4, SIZE, SIZE), torch.arange(9) % 2, np.arange(9), info)
    with pytest.raises(ValueError, match=r"needs images \(N, C, H, W\), volume has \(9, 1, 4, 8, 8\): take slices"):
        train(players(), volume)


def test_players_that_do_not_fit():
    with pytest.raises(ValueError, match=r"generates images \(1, 8, 8\), but blobs has \(1, 16, 16\)"):
        train(players(), blobs(size=16))
    generator, _ = players()
    with pytest.raises(ValueError, match=r"images \(2, 1, 8, 8\) do not fit the network: .*; build it for their size"):
        train((generator, WGANCritic(16, width=2)))


def test_one_class_of_many_is_enough():
    one_stage = blobs()[blobs().targets == 1]
    assert len(train(players(), one_stage)) == 2


@pytest.mark.parametrize("who", ["generator", "discriminator"])
def test_nan_stops_the_run_and_spoils_no_checkpoint(tmp_path, who):
    class Failing(NonSaturating):
        calls = 0

        def poison(self, loss):
            Failing.calls += 1
            return loss * float("nan") if Failing.calls == 5 else loss

        def discriminator_loss(self, *given):
            loss, notes = super().discriminator_loss(*given)
            return (self.poison(loss) if who == "discriminator" else loss), notes

        def generator_loss(self, *given):
            loss = super().generator_loss(*given)
            return self.poison(loss) if who == "generator" else loss

    file = tmp_path / "gan.pt"
    with pytest.raises(FloatingPointError, match=r"became nan at step 5 \(epoch 2\) with learning rate 0.0002"):
        train(players(), loss=Failing(), checkpoint=file)
    kept = torch.load(file, weights_only=True)
    assert len(kept["history"]["train_loss"]) == 1
    assert all(value.isfinite().all() for value in kept["model"].values())


def test_a_checkpoint_of_another_game_is_refused(tmp_path):
    file = tmp_path / "gan.pt"
    train(players(critic=True), loss="wgan", checkpoint=file)
    with pytest.raises(CheckpointError, match=r"loss='Wasserstein\(clip=0.01, .* there, 'Wasserstein\(clip=0.1"):
        train(players(critic=True), loss=Wasserstein(clip=0.1), checkpoint=file, resume=True)
    wider = players()[0], WGANCritic(SIZE, width=8)
    message = (
        r"by another model: DCGenerator \+ WGANCritic with discriminator.features.0.0.bias \(4,\), but this .* \(8,\)"
    )
    with pytest.raises(CheckpointError, match=message):
        train(wider, loss="wgan", checkpoint=file, resume=True)
