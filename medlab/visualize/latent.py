"""Interpolation in the latent space of a generator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medlab.visualize.figures import PALETTE, Figure, subplots
from medlab.visualize.images import blank, montage, pixels


def latent_walk(
    generator: nn.Module,
    position: float = 0.0,
    truncation: float = 1.0,
    *,
    seeds: Sequence[int] = (0, 1, 2, 3),
    label: int | None = None,
) -> Figure:
    """One image on a closed path through the latent space, above the images of the seeds that the path connects.

    Latent vectors are interpolated spherically (White 2016, arXiv:1609.04468): a straight line would pass through
    shorter vectors than the generator was trained on. If the images between two seeds are as good as those at the
    seeds, the generator has learned more than a list of images.

    Args:
        generator: has `sample_latent(n, rng)`, gives images in (-1, 1); with classes it needs a `label`.
        position: on the path, from 0 to the number of seeds: 1.5 is half-way from the second seed to the third.
        truncation: factor of the latent vectors. Towards 0 all images become alike; above 1 the vectors are longer
            than those of the training.
        seeds: of the latent vectors that the path connects.
        label: class of the images, for a conditional generator.

    Raises:
        ValueError: fewer than two seeds, a position off the path, a truncation below 0.
    """
    from medlab.models.modes import eval_mode  # here: networks and training take a second to import
    from medlab.train.sampling import noise_of, to_pixels

    if len(seeds) < 2 or not 0 <= position <= len(seeds) or truncation < 0:
        raise ValueError(
            f"{len(seeds)} seeds, position {position}, truncation {truncation}: a walk has two seeds or more, a "
            "position from 0 to their number, and a truncation from 0"
        )
    classes = getattr(generator, "classes", 0)
    if label not in (range(classes) if classes else (None,)):
        raise ValueError(f"label {label} is none of the {classes} classes of the generator")
    stops = torch.cat([noise_of(generator)(1, torch.Generator().manual_seed(int(seed))) for seed in seeds])
    start = min(int(position), len(seeds) - 1)
    here = _slerp(stops[start], stops[(start + 1) % len(seeds)], position - start)
    z = truncation * torch.cat([here[None], stops])
    device = next(generator.parameters()).device
    given = [z.to(device)] + ([] if label is None else [torch.full((len(z),), label, device=device)])
    with eval_mode(generator), torch.no_grad():
        images = to_pixels(generator(*given)).cpu()
    large, *small = (pixels(image) for image in images)
    where = f"position {position:g} of {len(seeds)}, from seed {seeds[start]} to seed {seeds[(start + 1) % len(seeds)]}"
    alt = f"Walk through the latent space: {where}; truncation {truncation:g}."
    fig, (top, bottom) = subplots(2, 1, alt=alt, size=(6.4, 4.6), height_ratios=(3, 1))
    places = montage(bottom, [*small, small[0]], len(small) + 1)
    low, high = bottom.images[0].get_clim()
    blank(top).imshow(large, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    top.set_title(where, fontsize=10)
    for place, seed in zip(places, [*seeds, seeds[0]]):
        bottom.annotate(f"seed {seed}", place, (0, 2), textcoords="offset points", ha="center", fontsize=8)
    step = places[1][0] - places[0][0]
    below = bottom.images[0].get_array().shape[0]
    bottom.plot(places[0][0] + position * step, below, "^", color=PALETTE[4], markersize=9, clip_on=False)
    return fig


def _slerp(one: Tensor, other: Tensor, share: float) -> Tensor:
    """Spherical linear interpolation: the direction turns by `share` of the angle, the length changes evenly."""
    lengths = one.norm(), other.norm()
    angle = (one @ other / (lengths[0] * lengths[1])).clamp(-1, 1).arccos()
    if angle.sin().abs() < 1e-4:  # the same direction
        return one + share * (other - one)
    direction = ((1 - share) * angle).sin() * one / lengths[0] + (share * angle).sin() * other / lengths[1]
    return direction / angle.sin() * ((1 - share) * lengths[0] + share * lengths[1])
