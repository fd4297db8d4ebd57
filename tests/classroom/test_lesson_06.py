"""The right answers of lesson 06 against the course."""

import math

import numpy as np
import pytest
import torch
from answers_06 import discriminator_loss, game_value, generator_loss, optimal_discriminator, psnr, rmse_from_psnr

from medlab.metrics import psnr_ssim
from medlab.models import RingDiscriminator, RingGenerator
from medlab.train import discriminator_bce, non_saturating_loss


def test_the_worked_numbers():
    real, fake = torch.tensor([1.0, 3.0, 0.0]), torch.tensor([1.0, 1.0, 2.0])
    assert optimal_discriminator(real, fake).tolist() == [0.5, 0.75, 0.0]
    assert round(float(game_value(real, fake, 0.25)), 3) == -0.909
    assert round(psnr(np.array([0.0, 255.0]), np.array([3.0, 251.0]), 255), 2) == 37.16
    assert round(rmse_from_psnr(32.83, 255), 2) == 5.82


def test_the_losses_are_those_of_the_course_and_only_the_second_reaches_the_generator():
    generator, discriminator = RingGenerator(), RingDiscriminator()
    fake = generator(generator.sample_latent(8, torch.Generator().manual_seed(0)))
    real, weights = torch.rand(6, *fake.shape[1:]), list(generator.parameters())
    loss = discriminator_loss(discriminator, real, fake)
    assert torch.allclose(loss, discriminator_bce(discriminator(real), discriminator(fake)))
    loss.backward()
    assert all(weight.grad is None for weight in weights)
    loss = generator_loss(discriminator, fake)
    assert torch.allclose(loss, non_saturating_loss(discriminator(fake)))
    loss.backward()
    assert all(weight.grad is not None for weight in weights)


def test_two_equal_densities_are_worth_minus_log_4():
    density = torch.rand(50, generator=torch.Generator().manual_seed(0))
    density = density / density.sum()
    assert float(game_value(density, density, 1.0)) == pytest.approx(-math.log(4), abs=1e-6)


def test_psnr_is_that_of_the_course():
    rng = np.random.default_rng(0)
    image, other = rng.random((2, 1, 1, 16, 16))
    assert psnr(image, other, 1.0) == pytest.approx(psnr_ssim(image, other).psnr, abs=1e-4)
