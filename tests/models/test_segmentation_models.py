"""U-Net, DRINet and its baselines: the papers' sizes, their connections, and what they refuse."""

import re

import pytest
import torch
from torch import nn

from medlab.models import DRINet, DRINetBaseline, InceptionModule, UNet, UnpoolingBlock, count_parameters
from medlab.models.drinet import DenseBlock
from medlab.models.layers import Conv3d

FCN = {"dense": False, "inception": False, "unpooling": False}  # DRINet without its three ideas


@pytest.mark.parametrize(
    ("growth", "parameters"),
    [
        (12, 854_412),
        (24, 2_797_236),
        (36, 5_854_578),
        (48, 10_030_599),
        (64, 17_333_331),
        ((12, 24, 36, 48), 4_106_810),
        ((24, 36, 48, 64), 8_026_693),
        ((36, 48, 64, 80), 13_703_931),
    ],
)
def test_drinet_has_the_papers_parameters(growth, parameters):
    assert count_parameters(DRINet(growth=growth)) == parameters


def test_drinet_halves_its_channels_on_the_way_up():
    model, seen = DRINet(), {}
    for name, module in model.named_modules():
        module.register_forward_hook(lambda _, __, out, name=name: seen.__setitem__(name, tuple(out.shape)))
    model.eval()(torch.rand(1, 1, 32, 32))
    down = [seen[f"down.{i}"] for i in range(4)]
    assert down == [(1, 176, 32, 32), (1, 320, 16, 16), (1, 464, 8, 8), (1, 608, 4, 4)]
    assert [seen[f"up.{i}"] for i in range(3)] == [(1, 304, 8, 8), (1, 152, 16, 16), (1, 76, 32, 32)]
    assert seen[""] == (1, 4, 32, 32)


def test_drinet_of_the_tiny_recipe():
    model = DRINet(growth=(4, 4, 4), stem=8)
    assert count_parameters(model) == 52_711
    assert model(torch.rand(2, 1, 32, 40)).shape == (2, 4, 32, 40)


def test_a_dense_block_keeps_what_came_in():
    block = DenseBlock(5, growth=2).eval()
    seen = []
    block.mix.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    x = torch.rand(2, 5, 6, 6)
    assert block(x).shape == (2, 11, 6, 6)
    assert torch.equal(seen[0][:, :5], x)
    for parameter in block.layers[0][2].parameters():
        nn.init.zeros_(parameter)
    block(x)
    assert seen[1][:, 5:7].abs().max() == 0 and torch.equal(seen[1][:, :5], x)


def test_an_inception_module_adds_to_its_input_without_a_last_relu():
    module = InceptionModule(8).eval()
    nn.init.zeros_(module.mix[0].weight)
    nn.init.constant_(module.mix[0].bias, -3.0)
    x = torch.rand(1, 8, 5, 5)
    assert torch.allclose(module(x), x - 3.0, atol=1e-4)
    kinds = [conv.dilation for conv in module.modules() if isinstance(conv, nn.Conv2d) and conv.kernel_size == (3, 3)]
    assert sorted(kinds) == [(1, 1), (2, 2)]


@pytest.mark.parametrize("channels", [8, 10, 11])
def test_channels_not_divisible_by_four_are_rounded_down(channels):
    x = torch.rand(2, channels, 4, 6)
    assert InceptionModule(channels)(x).shape == x.shape
    assert UnpoolingBlock(channels)(x).shape == (2, 2 * (channels // 4), 8, 12)


@pytest.mark.parametrize("part", ["dense", "inception", "unpooling"])
def test_each_idea_of_drinet_can_be_switched_off(part):
    whole, without, alone = (
        DRINet(growth=8, stem=8, **options) for options in ({}, {part: False}, {**FCN, part: True})
    )
    block = {"dense": DenseBlock, "inception": InceptionModule, "unpooling": UnpoolingBlock}[part]
    assert any(isinstance(module, block) for module in whole.modules())
    assert any(isinstance(module, block) for module in alone.modules())
    assert not any(isinstance(module, block) for module in without.modules())
    for model in (without, alone):
        assert model(torch.rand(1, 1, 16, 24)).shape == (1, 4, 16, 24)


def test_drinet_without_its_ideas_is_the_fcn_of_the_paper():
    assert count_parameters(DRINet(**FCN)) == 2_713_860
    drinet, fcn = DRINet(2, 3, growth=(1, 1, 1), stem=4, **FCN).eval(), DRINetBaseline(2, 3, 4, 3, skips=False).eval()
    names = {r"up\.(\d)\.1\.": r"merge.\1.", r"up\.(\d)\.0\.": r"up.\1."}  # DRINet's and the FCN's
    weights = drinet.state_dict()
    for old, new in names.items():
        weights = {re.sub(old, new, name): value for name, value in weights.items()}
    fcn.load_state_dict(weights)
    images = torch.rand(2, 2, 16, 12)
    torch.testing.assert_close(fcn(images), drinet(images))


def test_drinet_builds_only_the_layers_that_it_uses(monkeypatch):
    built = []
    init = nn.Conv2d.reset_parameters
    monkeypatch.setattr(nn.Conv2d, "reset_parameters", lambda self: (built.append(self.weight.numel()), init(self)))
    model = DRINet(growth=8, stem=8)
    used = [module.weight.numel() for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert sorted(built) == sorted(used)


@pytest.mark.parametrize(("skips", "parameters"), [(False, 2_713_860), (True, 2_907_396)])
def test_the_baselines_have_the_papers_parameters(skips, parameters):
    model = DRINetBaseline(skips=skips)
    assert count_parameters(model) == parameters
    kernels = [module.kernel_size for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert kernels == [(3, 3)] * 21 + [(1, 1)]
    assert model(torch.rand(2, 1, 16, 24)).shape == (2, 4, 16, 24)


def test_the_unet_baseline_concatenates_what_the_fcn_loses():
    """With the deep path silenced only the skip connection carries the image to the output."""
    for skips in (True, False):
        model = DRINetBaseline(width=4, levels=2, skips=skips, weight_std=None).eval()
        nn.init.zeros_(model.up[0][0].weight)
        outputs = [model(torch.rand(1, 1, 8, 8)) for _ in range(2)]
        assert torch.equal(*outputs) != skips


@pytest.mark.parametrize("build", [DRINet, DRINetBaseline])
def test_initial_weights_have_the_deviation_that_was_asked_for(build):
    def large(model):
        layers = (m for m in model.modules() if isinstance(m, nn.Conv2d) and m.weight.numel() > 5000)
        return [layer.weight.detach() for layer in layers]

    for std in (0.01, 0.05):
        assert all(abs(weight.std() / std - 1) < 0.05 for weight in large(build(weight_std=std)))
    for weight in large(build(weight_std=None)):  # PyTorch's: uniform, up to the root of 1 / fan-in
        assert 0.95 < weight.abs().max() * weight[0].numel() ** 0.5 <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"growth": (4,)}, "at least 2 levels"),
        ({"growth": (4, 0, 4)}, "at least 1 channel each"),
        ({"growth": 1, "stem": 4}, "channels must be a whole number of at least 4, got 2"),
    ],
)
def test_drinet_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        DRINet(**arguments)


@pytest.mark.parametrize("model", [DRINet(growth=4, stem=8), DRINetBaseline(width=4)], ids=lambda m: type(m).__name__)
def test_sides_that_the_poolings_do_not_divide_are_refused(model):
    name = type(model).__name__
    with pytest.raises(ValueError, match=f"{name} pools 3 times, .*multiples of 8, got 30 x 64: pad to 32 x 64"):
        model(torch.rand(1, 1, 30, 64))


def test_a_baseline_of_one_level_is_refused():
    with pytest.raises(ValueError, match="at least 2 levels, got 1"):
        DRINetBaseline(levels=1)


def test_unet_as_printed_has_31_million_parameters_and_gives_388_pixels_for_572():
    model = UNet(padding="valid", norm=False)
    assert count_parameters(model) == 31_030_658
    assert sum(isinstance(module, nn.Conv2d | nn.ConvTranspose2d) for module in model.modules()) == 23
    assert model.output_size(572) == 388


def test_the_size_that_unet_promises_is_the_one_it_gives():
    model = UNet(width=2, levels=3, padding="valid").eval()
    fits = [size for size in range(44, 120) if model._trace(size) is not None]
    assert fits[:3] == [44, 48, 52]
    for size in fits[::4]:
        assert model(torch.rand(1, 1, size, 60)).shape == (1, 2, model.output_size(size), model.output_size(60))
    assert UNet(width=2, levels=3)(torch.rand(1, 1, 20, 12)).shape == (1, 2, 20, 12)


def test_unet_crops_the_center_of_a_skip():
    """A level's feature maps meet those that come up at the same place of the image."""
    model = UNet(width=2, levels=2, padding="valid", norm=False).eval()
    seen = []
    model.merge[0].register_forward_hook(lambda _, given, __: seen.append(given[0]))
    kept = []
    model.down[0].register_forward_hook(lambda _, __, out: kept.append(out))
    model(torch.rand(1, 1, 28, 28))
    assert torch.equal(seen[0][:, :2], kept[0][:, :, 4:-4, 4:-4])


def test_without_skips_detail_cannot_pass():
    """With the deep path silenced only the skip carries the image to the output."""
    for skips in (True, False):
        torch.manual_seed(0)
        model = UNet(width=4, levels=2, skips=skips).eval()
        nn.init.zeros_(model.up[0].weight)
        outputs = [model(torch.rand(1, 1, 8, 8)) for _ in range(2)]
        assert torch.equal(*outputs) != skips


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"levels": 1}, "at least 2 levels, got 1"), ({"padding": "half"}, "Invalid padding string 'half'")],
)
def test_unet_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        UNet(**arguments)


def test_unet_names_the_sizes_that_fit():
    with pytest.raises(ValueError, match="'same' padding cannot pool images of side 30: crop or pad to 28 or 32"):
        UNet(width=2, levels=3)(torch.rand(1, 1, 30, 32))
    with pytest.raises(ValueError, match="crop or pad to 556 or 572"):
        UNet(padding="valid").output_size(570)


def test_a_kernel_larger_than_the_depth_computes_in_float32_where_bfloat16_gradients_are_nan():
    layer = Conv3d(2, 2, 3, padding="same")
    with torch.autocast("cpu", torch.bfloat16):
        flat, deep = layer(torch.randn(1, 2, 2, 8, 8)), layer(torch.randn(1, 2, 3, 8, 8))
    assert (flat.dtype, deep.dtype) == (torch.float32, torch.bfloat16)
    assert any(isinstance(layer, Conv3d) for layer in UNet(width=2, levels=2, axes=3).modules())
