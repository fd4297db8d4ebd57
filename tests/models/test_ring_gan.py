"""The generator and the discriminator of the ring: shapes, reproducible latent vectors, parameter counts."""

import torch

from medlab.data import load
from medlab.models import RingDiscriminator, RingGenerator


def test_ring_networks():
    generator, discriminator = RingGenerator(), RingDiscriminator()
    z = generator.sample_latent(5, torch.Generator().manual_seed(0))
    assert z.shape == (5, 16) and torch.equal(z, generator.sample_latent(5, torch.Generator().manual_seed(0)))
    points = generator(z)
    assert points.shape == (5, 2, 1, 1) and (generator.size, generator.channels, generator.latent) == (1, 2, 16)
    assert discriminator(points).shape == (5,) and discriminator.features(points).shape == (5, 128)
    sizes = [sum(p.numel() for p in each.parameters()) for each in (generator, discriminator)]
    assert sizes == [18_946, 17_025]


def test_the_discriminator_sees_a_ring_of_unit_standard_deviation():
    points, seen = 2 * load("ring", n=4096).images - 1, []
    discriminator = RingDiscriminator()
    discriminator.layers.register_forward_pre_hook(lambda layers, inputs: seen.append(inputs[0]))
    discriminator(points)
    torch.testing.assert_close(seen[0].std(0), torch.ones(2), atol=0.01, rtol=0)
