"""Patches: what they show, also at the border; where they are drawn; the networks that read them, on whole volumes."""

import numpy as np
import pytest
import torch
from torch import nn

from medlab.data.images import ImageSet, Info
from medlab.data.patches import VIEWS, extract_patches, patch_set, region_mask, sample_centers
from medlab.models import PatchCNN, SliceBySlice, UNet, WholeVolume, count_parameters, multiply_adds, training_bytes

INFO = Info("made", "MR", "segmentation", ("background", "ball", "core"), "MIT", "", True)
SMALL = {"classes": 3, "width": 8, "kernel": 3, "channels": (4, 5), "dense": 7}


def ramps():
    """Volumes of f = x, f = y and f = z, ``(3, 1, 10, 12, 14)``."""
    z, y, x = torch.meshgrid(torch.arange(10.0), torch.arange(12.0), torch.arange(14.0), indexing="ij")
    return torch.stack([x, y, z])[:, None]


def balls(n=4, side=20):
    """Volumes with a ball that holds a core; patients 0, 0, 1, 1, ..."""
    line = torch.arange(side) - side / 2
    radius = torch.stack(torch.meshgrid(line, line, line, indexing="ij")).square().sum(0).sqrt()
    masks = ((radius < 6).to(torch.uint8) + (radius < 3).to(torch.uint8)).expand(n, -1, -1, -1)
    noise = torch.rand(n, 1, side, side, side, generator=torch.Generator().manual_seed(0))
    return ImageSet(0.5 * noise + 0.2 * masks[:, None], masks.clone(), np.arange(n) // 2, INFO)


def everywhere(shape):
    return torch.cartesian_prod(*[torch.arange(side) for side in shape])


@pytest.mark.parametrize("width", [1, 2, 5, 6])
def test_patches_are_what_slicing_gives(width):
    volumes = torch.rand(2, 1, 9, 10, 11, generator=torch.Generator().manual_seed(0))
    w, low = width, 4 - width // 2  # the center is voxel w // 2 of the patch
    d, h, c = (slice(start, start + w) for start in (low, low + 1, low + 2))
    centers = torch.tensor([[0, 2, 2, 2], [1, 4, 5, 6]])
    single, stacked, planes, cube = (extract_patches(volumes, centers, view, w)[1] for view in VIEWS)
    volume = volumes[1, 0]
    assert torch.equal(single, volume[None, 4, h, c])
    assert torch.equal(stacked, volume[3:6, h, c])
    assert torch.equal(planes, torch.stack([volume[4, h, c], volume[d, 5, c], volume[d, h, 6]]))
    assert torch.equal(cube, volume[None, d, h, c])


def test_beyond_the_border_a_patch_holds_0():
    ones = torch.ones(1, 1, 6, 6, 6)
    corners = torch.tensor([[0, 0, 0, 0], [0, 5, 5, 5]])
    first, last = extract_patches(ones, corners, "volume", 5)[:, 0]
    assert first[2:, 2:, 2:].all() and first.sum() == 27 and torch.equal(last, first.flip(0, 1, 2))
    stack = extract_patches(ones, corners, "stacked", 1).flatten(1)
    assert stack.tolist() == [[0, 1, 1], [1, 1, 0]]  # below the first slice and above the last there is nothing
    assert extract_patches(ones, corners, "single", 6).sum((1, 2, 3)).tolist() == [9, 16]  # an even patch


def test_triplanar_patches_of_x_are_constant_in_one_plane_and_ramps_in_the_other_two():
    centers = torch.tensor([[k, 5, 6, 7] for k in range(3)])
    for k, (flat, center) in enumerate([(2, 7), (1, 6), (0, 5)]):  # sagittal for x, coronal for y, axial for z
        planes = extract_patches(ramps(), centers, "triplanar", 5)[k]
        assert (planes[flat] == center).all()
        for plane in planes[[i for i in range(3) if i != flat]]:
            steps = plane.diff(dim=0).unique().tolist(), plane.diff(dim=1).unique().tolist()
            assert sorted(steps) == [[0], [1]] and plane[2, 2] == center


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"view": "planes"}, "unknown view 'planes'. .*Allowed: single, stacked, triplanar, volume"),
        ({"width": 11}, r"a volume patch 11 wide does not fit into volumes \(10, 12, 14\): take 1 to 10"),
        ({"width": 13, "view": "single"}, "a single patch 13 wide does not fit .* take 1 to 12"),
        ({"width": 0}, "a volume patch 0 wide"),
        ({"centers": torch.tensor([[0, 0, 0, 0], [0, 10, 0, 0]])}, r"1 of 2 centers lie outside, .*\[0, 10, 0, 0\]"),
        ({"centers": torch.tensor([[3, 0, 0, 0]])}, r"\[3, 0, 0, 0\]; .* must be below \[3, 10, 12, 14\]"),
        ({"centers": torch.tensor([[0, 0, -1, 0]])}, "1 of 1 centers lie outside"),
        ({"centers": torch.zeros(2, 3).long()}, r"whole numbers \(M, 4\)"),
        ({"centers": torch.zeros(2, 4)}, "whole numbers .* of torch.float32"),
        ({"volumes": torch.zeros(2, 3, 9, 9, 9)}, r"volumes must be \(N, 1, D, H, W\), got \(2, 3, 9, 9, 9\)"),
    ],
)
def test_bad_patches_are_refused(changes, message):
    given = {"volumes": ramps(), "centers": torch.tensor([[0, 1, 2, 3]]), "view": "volume", "width": 4} | changes
    with pytest.raises(ValueError, match=message):
        extract_patches(**given)


def test_centers_are_balanced_and_hard_negatives_lie_near_the_structure():
    data = balls()
    centers = sample_centers(data, 60, seed=1, hard=0.75, near=2)
    again, other = (sample_centers(data, 60, seed=s, hard=0.75, near=2) for s in (1, 2))
    assert torch.equal(centers, again) and not torch.equal(centers, other)
    assert centers.shape == (180, 4) and len(centers[:, 0].unique()) == len(data)
    n, *place = centers.T
    assert torch.bincount(data.targets[n, *place]).tolist() == [60, 60, 60]
    away = (centers[:60, 1:] - 10).float().norm(dim=1)
    assert (away[:45] <= 8).all() and away.min() >= 6  # two steps from a ball of radius 6
    assert away[45:].max() > 9 > away[45:].min()  # the rest from all over
    region = region_mask(data.targets, 4)
    inside = sample_centers(data, 60, hard=0, near=1, region=region)[:60, 1:]
    assert region[*inside.T].all() and region.float().mean() < 0.4


def test_region_mask_grows_the_union_of_all_label_maps():
    targets = torch.zeros(2, 9, 9, 9, dtype=torch.uint8)
    targets[0, 2, 4, 4], targets[1, 6, 4, 4] = 1, 2
    assert region_mask(targets, 0).nonzero().tolist() == [[2, 4, 4], [6, 4, 4]]
    assert region_mask(targets, 1).sum() == 14 and region_mask(targets, 2)[4, 4, 4]
    with pytest.raises(ValueError, match="show no structure"):
        region_mask(torch.zeros(2, 5, 5, 5))


def test_bad_draws_are_refused():
    data = balls(2)
    for changes in ({"per_class": 0}, {"near": 0}, {"hard": 1.5}):
        with pytest.raises(ValueError, match="must be at least 1, hard"):
            sample_centers(data, **{"per_class": 5} | changes)
    empty = ImageSet(data.images, torch.zeros_like(data.targets), data.patients, INFO)  # empty masks
    with pytest.raises(ValueError, match="no voxel of class background near the structure"):
        sample_centers(empty, 5)
    with pytest.raises(ValueError, match="no voxel of class ball"):
        sample_centers(empty, 5, hard=0)
    slices = ImageSet(data.images[:, :, 0], data.targets[:, 0], data.patients, INFO)
    with pytest.raises(ValueError, match="label maps of volumes"):
        sample_centers(slices, 5)


def test_patch_set_is_a_set_to_classify_by_patient():
    data = balls()
    centers = sample_centers(data, 10)
    patches = patch_set(data, centers, "stacked", 8)
    assert patches.images.shape == (30, 3, 8, 8) and patches.info.task == "multi-class"
    assert list(patches.counts().values()) == [10, 10, 10]
    assert (patches.patients == data.patients[centers[:, 0]]).all()
    assert torch.equal(patches.images[:, 1, 4, 4], data.images[centers[:, 0], 0, *centers[:, 1:].T])


@pytest.mark.parametrize(
    ("view", "parameters", "millions"),
    [
        ("single", 12_828_572, 19.4),
        ("stacked", 12_829_572, 19.8),
        ("triplanar", 38_479_712, 58.2),
        ("volume", 204_930_572, 737),
    ],
)
def test_parameters_and_cost_at_the_size_of_the_report(view, parameters, millions):
    with torch.device("meta"):
        network = PatchCNN(view)
        patches = torch.rand(2, *{"single": (1,), "volume": (1, 24)}.get(view, (3,)), 24, 24)
        logits = network(patches)
        cost = multiply_adds(network, patches[:1])
    assert count_parameters(network) == parameters and logits.shape == (2, 2)
    assert cost / 1e6 == pytest.approx(millions, rel=0.005)


def test_a_stack_of_identical_slices_is_a_single_patch_whose_first_kernel_is_the_channel_sum():
    torch.manual_seed(0)
    stacked, single = PatchCNN("stacked", **SMALL), PatchCNN("single", **SMALL)
    state = stacked.state_dict()
    state["streams.0.0.weight"] = state["streams.0.0.weight"].sum(1, keepdim=True)
    single.load_state_dict(state)
    slices = torch.rand(6, 1, 8, 8)
    torch.testing.assert_close(stacked(slices.expand(-1, 3, -1, -1)), single(slices))


@pytest.mark.parametrize("width", [8, 7])
@pytest.mark.parametrize("view", VIEWS)
def test_a_whole_volume_gets_the_answer_of_its_patches(view, width):
    torch.manual_seed(0)
    network = PatchCNN(view, **SMALL | {"width": width})
    volumes = torch.rand(2, 1, 9, 11, 10)
    with torch.no_grad():
        one_by_one = network(extract_patches(volumes, everywhere((2, 9, 11, 10)), view, width))
        whole = WholeVolume(network, chunk=4)(volumes)
    assert whole.shape == (2, 3, 9, 11, 10) and one_by_one.std() > 0.01
    difference = (whole.movedim(1, -1).reshape(-1, 3) - one_by_one).abs().max()
    assert difference < 1e-4


@pytest.mark.parametrize("view", VIEWS)
def test_in_a_whole_volume_every_weight_is_used_once_per_voxel_and_a_little_more_around(view):
    network = PatchCNN(view, **SMALL)
    weights = sum(p.numel() for p in network.parameters() if p.ndim > 1)
    shares = []
    for side in (16, 32):
        count = multiply_adds(WholeVolume(network, chunk=64), torch.rand(1, 1, side, side, side))
        shares.append(count / side**3 / weights)
    assert 1 < shares[1] < shares[0] < 1.8  # the border, where patches stick out, weighs less and less
    patch = torch.rand(1, *extract_patches(torch.rand(1, 1, 9, 9, 9), torch.zeros(1, 4).long(), view, 8).shape[1:])
    assert multiply_adds(network, patch) > 2 * weights


def test_memory_of_a_training_step():
    layer = nn.Linear(10, 20)
    assert training_bytes(nn.Sequential(layer, nn.Tanh()), torch.rand(5, 10)) == 16 * 220 + 4 * 5 * 20 + 4 * 5 * 10
    small, large = (training_bytes(PatchCNN("single", **SMALL), torch.rand(n, 1, 8, 8)) for n in (1, 11))
    assert large - small == 10 * 4 * (64 + 4 * 36 + 2 * 5 * 16 + 7)  # input, what each ReLU gave, all in one row


def test_bad_networks_and_inputs_are_refused():
    with pytest.raises(ValueError, match="unknown view 'cube'"):
        PatchCNN("cube")
    with pytest.raises(ValueError, match="patches 8 wide are too small for two kernels of 5; take at least 9"):
        PatchCNN(width=8)
    with pytest.raises(ValueError, match=r"the triplanar view takes patches .*3, 8, 8.*got \(2, 1, 8, 8\)"):
        PatchCNN("triplanar", **SMALL)(torch.rand(2, 1, 8, 8))
    with pytest.raises(ValueError, match=r"must be \(N, 1, D, H, W\), 8 voxels wide or more"):
        WholeVolume(PatchCNN("volume", **SMALL))(torch.rand(1, 1, 7, 9, 9))
    with pytest.raises(ValueError, match=r"must be \(N, 1, D, H, W\)"):
        WholeVolume(PatchCNN("single", **SMALL))(torch.rand(1, 9, 9, 9))


def test_unet_takes_volumes():
    network = UNet(1, 3, width=4, levels=3, axes=3)
    assert network(torch.rand(1, 1, 8, 12, 16)).shape == (1, 3, 8, 12, 16)
    flat, cubes = (
        sum(p.numel() for p in UNet(width=8, levels=2, norm=False, axes=a).merge.parameters()) for a in (2, 3)
    )
    assert (flat, cubes) == (9 * (16 + 8) * 8 + 16, 27 * (16 + 8) * 8 + 16)
    with pytest.raises(ValueError, match="cannot pool images of side 10"):
        network(torch.rand(1, 1, 8, 12, 10))
    with pytest.raises(ValueError, match="2 axes for images or 3 for volumes, got 1"):
        UNet(axes=1)


def test_slice_by_slice_answers_every_slice_alone():
    torch.manual_seed(0)
    network = UNet(1, 3, width=4, levels=2).eval()
    volumes = torch.rand(2, 1, 5, 8, 12)
    logits = SliceBySlice(network)(volumes)
    assert logits.shape == (2, 3, 5, 8, 12)
    torch.testing.assert_close(logits[1, :, 3], network(volumes[1:, :, 3])[0])
