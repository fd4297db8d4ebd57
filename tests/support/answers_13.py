"""Right and wrong answers to the exercises of lesson 13, as students would write them."""

import math

import numpy as np
import torch
from scipy.ndimage import map_coordinates
from torch.distributions import Normal
from torch.nn.functional import grid_sample

# The right answers, as a student would write them


def noised(images, noise, t, betas):
    a = torch.cumprod(1 - betas, dim=0)[t].view(-1, 1, 1, 1)
    return torch.sqrt(a) * images + torch.sqrt(1 - a) * noise


def put_back(images, measured, kept):
    space = torch.fft.fft2(images)
    space[..., kept] = measured[..., kept]
    return torch.fft.ifft2(space).real


def composed(first, second, warp):
    return second + warp(first, second)


RIGHT = {"forward_noising": [noised], "data_consistency": [put_back], "compose": [composed]}


# Other right answers


def image_by_image(images, noise, t, betas):
    answer = torch.empty_like(images)
    for i in range(len(images)):
        a = 1.0
        for beta in betas[: t[i] + 1]:
            a *= 1 - float(beta)
        answer[i] = math.sqrt(a) * images[i] + math.sqrt(1 - a) * noise[i]
    return answer


def step_by_step(images, noise, t, betas):
    """The weights of image and noise, walked through the steps; variances of noise add up."""
    weight, variance, seen = torch.ones(len(images)), torch.zeros(len(images)), torch.arange(len(betas))
    for s, beta in zip(seen, betas):
        now = s <= t
        weight = torch.where(now, weight * (1 - beta).sqrt(), weight)
        variance = torch.where(now, variance * (1 - beta) + beta, variance)
    return torch.einsum("n,nchw->nchw", weight, images) + torch.einsum("n,nchw->nchw", variance.sqrt(), noise)


def by_logarithms(images, noise, t, betas):
    a = torch.exp(torch.log1p(-betas).cumsum(0)).index_select(0, t)[:, None, None, None]
    return images * a**0.5 + noise * (1 - a) ** 0.5


def by_numpy(images, noise, t, betas):
    a = np.cumprod(1 - betas.numpy())[t.numpy()].reshape(-1, 1, 1, 1)
    return torch.from_numpy(np.sqrt(a) * images.numpy() + np.sqrt(1 - a) * noise.numpy())


def by_products(images, noise, t, betas):
    a = torch.stack([(1 - betas[: k + 1]).prod() for k in t.tolist()])
    a = a.reshape(len(images), *[1] * (images.ndim - 1))
    return torch.sqrt(a) * images + torch.sqrt(1 - a) * noise


def as_a_distribution(images, noise, t, betas):
    a = (1 - betas).cumprod(0)[t][:, None, None, None].expand_as(images)
    normal = Normal(a.sqrt() * images, (1 - a).sqrt())
    return normal.loc + normal.scale * noise


def by_angle(images, noise, t, betas):
    """The roots of a and 1 - a are cosine and sine of one angle."""
    angle = torch.acos((1 - betas).cumprod(0).sqrt())[t][:, None, None, None]
    return angle.cos() * images + angle.sin() * noise


def by_where(images, measured, kept):
    return torch.fft.ifft2(torch.where(kept, measured, torch.fft.fft2(images))).real


def by_a_factor(images, measured, kept):
    free = 1 - kept.to(images.dtype)
    return torch.real(torch.fft.ifftn(measured + free * torch.fft.fftn(images, dim=(2, 3)), dim=(2, 3)))


def by_a_difference(images, measured, kept):
    """Only what is wrong in the measured lines goes back, and is added."""
    wrong = (measured - torch.fft.fft2(images)) * kept
    return images + torch.fft.ifft2(wrong).real


def by_numpy_fft(images, measured, kept):
    space = np.fft.fft2(images.numpy())
    space[..., kept.numpy()] = measured.numpy()[..., kept.numpy()]
    return torch.from_numpy(np.fft.ifft2(space).real.astype(np.float32))


def line_by_line(images, measured, kept):
    space = torch.fft.fft2(images)
    for line in range(len(kept)):
        if kept[line]:
            space[:, :, :, line] = measured[:, :, :, line]
    return torch.fft.ifft2(space).real


def axis_by_axis(images, measured, kept):
    """Lines are columns: along the rows nothing is chosen."""
    space = torch.fft.fft(torch.fft.fft(images, dim=2), dim=3)
    space = torch.where(kept[None, None, None], measured, space)
    return torch.fft.ifft(torch.fft.ifft(space, dim=3), dim=2).real


def by_masked_scatter(images, measured, kept):
    every = kept.expand(images.shape)
    space = torch.fft.fft2(images)
    return torch.fft.ifft2(space.masked_scatter(every, measured[every])).real


def in_the_middle(images, measured, kept):
    shift = torch.fft.fftshift
    space = torch.where(shift(kept), shift(measured, (2, 3)), shift(torch.fft.fft2(images), (2, 3)))
    return torch.fft.ifft2(torch.fft.ifftshift(space, (2, 3))).real


def in_place(first, second, warp):
    answer = warp(first, second)
    answer += second
    return answer


def channel_by_channel(first, second, warp):
    return torch.stack([warp(part[None], second)[0] + way for part, way in zip(first, second)])


def of_places(first, second, warp):
    """Where each pixel ends, less where it is."""
    here = torch.stack(torch.meshgrid(*(torch.arange(float(n)) for n in first.shape[1:]), indexing="ij"))
    there = here + second
    return there + warp(first, second) - here


def by_scipy(first, second, warp):
    places = np.indices(first.shape[1:]) + second.numpy()
    read = [map_coordinates(part, places, order=1, mode="nearest") for part in first.numpy()]
    return second + torch.from_numpy(np.stack(read))


def by_grid_sample(first, second, warp):
    _, height, width = first.shape
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x = 2 * (columns + second[1]) / (width - 1) - 1
    y = 2 * (rows + second[0]) / (height - 1) - 1
    grid = torch.stack([x, y], -1)[None]
    return second + grid_sample(first[None], grid, "bilinear", "border", True)[0]


def by_corners(first, second, warp):
    answer = second.clone()
    height, width = first.shape[1:]
    for i in range(height):
        for j in range(width):
            y = min(max(i + float(second[0, i, j]), 0), height - 1)
            x = min(max(j + float(second[1, i, j]), 0), width - 1)
            top, left = min(int(y), height - 2), min(int(x), width - 2)
            v, u = y - top, x - left
            upper = (1 - u) * first[:, top, left] + u * first[:, top, left + 1]
            lower = (1 - u) * first[:, top + 1, left] + u * first[:, top + 1, left + 1]
            answer[:, i, j] += (1 - v) * upper + v * lower
    return answer


OTHER = [
    ("forward_noising", [image_by_image]),
    ("forward_noising", [step_by_step]),
    ("forward_noising", [by_logarithms]),
    ("forward_noising", [by_numpy]),
    ("forward_noising", [by_products]),
    ("forward_noising", [as_a_distribution]),
    ("forward_noising", [by_angle]),
    ("data_consistency", [by_where]),
    ("data_consistency", [by_a_factor]),
    ("data_consistency", [by_a_difference]),
    ("data_consistency", [by_numpy_fft]),
    ("data_consistency", [line_by_line]),
    ("data_consistency", [axis_by_axis]),
    ("data_consistency", [by_masked_scatter]),
    ("data_consistency", [in_the_middle]),
    ("compose", [in_place]),
    ("compose", [channel_by_channel]),
    ("compose", [of_places]),
    ("compose", [by_scipy]),
    ("compose", [by_grid_sample]),
    ("compose", [by_corners]),
    ("compose", [lambda first, second, warp: warp(first, field=second).add(second)]),
]


# Wrong answers, and what the check must say to them


def mixed(of):
    """An `add_noise` of what is left of the image, with a mistake."""

    def wrong(images, noise, t, betas):
        a = torch.cumprod(1 - betas, 0)[t][:, None, None, None]
        return of(a, images, noise)

    return [wrong]


def last_step(images, noise, t, betas):
    beta = betas[t][:, None, None, None]
    return (1 - beta).sqrt() * images + beta.sqrt() * noise


def up_to_t(images, noise, t, betas):
    return noised(images, noise, t, torch.cat([torch.zeros(1), betas]))


def one_t_for_all(images, noise, t, betas):
    a = torch.cumprod(1 - betas, 0)[t[0]]
    return a.sqrt() * images + (1 - a).sqrt() * noise


def spaces(of):
    """A `data_consistency` of the images' k-space, the measured one and the mask, with a mistake."""
    return [lambda images, measured, kept: torch.fft.ifft2(of(torch.fft.fft2(images), measured, kept)).real]


def magnitude(images, measured, kept):
    return torch.fft.ifft2(torch.where(kept, measured, torch.fft.fft2(images))).abs()


def never_back(images, measured, kept):
    return torch.where(kept, measured, torch.fft.fft2(images))


def twice_there(images, measured, kept):
    return torch.fft.fft2(torch.where(kept, measured, torch.fft.fft2(images))).real


WRONG = [
    ("forward_noising", [last_step], "only the last step"),
    ("forward_noising", mixed(lambda a, x, e: a * x + (1 - a) * e), "the square roots are missing"),
    ("forward_noising", mixed(lambda a, x, e: a.sqrt() * x + (1 - a) * e), "variances add up"),
    ("forward_noising", mixed(lambda a, x, e: a * x + (1 - a).sqrt() * e), "the images get the square root"),
    ("forward_noising", mixed(lambda a, x, e: (1 - a).sqrt() * x + a.sqrt() * e), "swapped"),
    ("forward_noising", mixed(lambda a, x, e: a.sqrt() * x + e), "the noise gets a weight"),
    ("forward_noising", [up_to_t], "step t itself counts"),
    ("forward_noising", [one_t_for_all], "a step of its own"),
    ("forward_noising", [lambda images, noise, t, betas: None], "there is no `return`"),
    ("data_consistency", spaces(lambda own, measured, kept: torch.where(kept, own, measured)), "the wrong way round"),
    ("data_consistency", spaces(lambda own, measured, kept: own + measured), "they are not added"),
    ("data_consistency", spaces(lambda own, measured, kept: measured), "zero-filled"),
    ("data_consistency", spaces(lambda own, measured, kept: own), "nothing was put back"),
    (
        "data_consistency",
        spaces(lambda own, measured, kept: torch.where(kept, (own + measured) / 2, own)),
        "not the mean of both",
    ),
    ("data_consistency", [magnitude], "not the magnitude"),
    ("data_consistency", [twice_there], "come back with the inverse"),
    ("data_consistency", [never_back], "still k-space"),
    ("compose", [lambda first, second, warp: first + second], "for constant fields only"),
    ("compose", [lambda first, second, warp: first + warp(second, first)], "the other order"),
    ("compose", [lambda first, second, warp: warp(first, second)], "is missing: add `second`"),
    ("compose", [lambda first, second, warp: first + warp(first, second)], "is `second`, not `first`"),
    ("compose", [lambda first, second, warp: second - warp(first, second)], "the two ways add up"),
    ("compose", [lambda first, second, warp: second + warp(first, -second)], "not at p - second(p)"),
    ("compose", [lambda first, second, warp: first * second], "not multiplied"),
    ("compose", [lambda first, second, warp: warp(second, second) + warp(first, second)], "at p itself"),
]
