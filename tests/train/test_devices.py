"""Half precision with scaled losses, deterministic kernels, and what is said where memory is too small."""

import pytest
import torch
from toys import network, stripes, weights

from medlab.models import DCDiscriminator, DCGenerator
from medlab.train import fit, fit_gan, load_checkpoint, pick_precision, predict
from medlab.train.devices import Placement

CUDA = torch.device("cuda")
HALF = Placement(torch.device("cpu"), torch.float16, torch.contiguous_format)


def train(epochs=6, precision="float16", **kept):
    model = network(dropout=0.0)
    settings = {"schedule": "constant", "clip": 1.0, "lr": 3e-3, "precision": precision, "progress": False}
    return model, fit(model, stripes(), epochs=epochs, batch_size=8, **settings, **kept)


@pytest.mark.parametrize("emulated, expected", [(False, torch.bfloat16), (True, torch.float16)])
def test_a_card_that_emulates_bfloat16_trains_in_float16(monkeypatch, emulated, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not emulated)
    assert pick_precision(None, CUDA) == expected


def test_float16_trains_nearly_as_float32_does():
    (half, history), (full, _) = train(), train(precision="float32")
    assert history.precision == "float16" and history.train_loss[-1] < history.train_loss[0]
    assert not torch.equal(weights(half), weights(full))
    assert torch.allclose(weights(half), weights(full), atol=0.02)


def test_a_gradient_below_the_smallest_number_of_float16_still_moves_the_weights():
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=1e8)
    HALF.step((weight.half() * 2**-26).float().sum() / 8, optimizer)  # 2**-29; the smallest is 2**-24
    assert weight.item() < 1


def test_a_step_that_overflowed_is_left_out_and_the_next_is_taken():
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    placement = Placement(torch.device("cpu"), torch.float16, torch.contiguous_format)
    placement.step(weight.sum() * torch.inf, optimizer, clip=1.0)
    assert weight.item() == 1
    placement.step(weight.sum(), optimizer, clip=0.5)
    assert weight.item() == pytest.approx(0.95)


def test_a_resumed_training_in_float16_keeps_its_scale(tmp_path):
    straight, _ = train(epochs=4)
    train(epochs=2, checkpoint=tmp_path / "run.pt")
    assert load_checkpoint(tmp_path / "run.pt")["scaler"]["_growth_tracker"] == 12  # steps
    assert torch.equal(weights(train(epochs=4, checkpoint=tmp_path / "run.pt", resume=True)[0]), weights(straight))


def test_kernels_are_deterministic_in_a_training_and_as_they_were_afterwards():
    seen = []

    def loss(outputs, targets):
        seen.append(torch.backends.cudnn.deterministic)
        return torch.nn.functional.cross_entropy(outputs, targets)

    fit(network(), stripes(), epochs=1, loss=loss, progress=False)
    assert all(seen) and not torch.backends.cudnn.deterministic


def too_small(*_):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore lines")


def test_too_little_memory_names_the_argument_to_lower():
    with pytest.raises(torch.OutOfMemoryError, match=r"2.00 GiB\. Too little memory: lower batch_size, now 16, or"):
        fit(network(), stripes(), epochs=1, batch_size=16, loss=too_small, progress=False)
    generator, discriminator = DCGenerator(8, width=16, latent=4), DCDiscriminator(8, width=8)
    discriminator.register_full_backward_pre_hook(too_small)
    with pytest.raises(torch.OutOfMemoryError, match="lower batch_size, now 8"):
        fit_gan(generator, discriminator, stripes(), epochs=1, batch_size=8, progress=False)
    model = network()
    model.forward = too_small
    with pytest.raises(torch.OutOfMemoryError, match="lower batch_size, now 7, or give a window"):
        predict(model, stripes(), batch_size=7)


def test_another_error_is_left_as_it_is():
    def wrong(*_):
        raise RuntimeError("sizes differ")

    with pytest.raises(RuntimeError, match="^sizes differ$"):
        fit(network(), stripes(), epochs=1, loss=wrong, progress=False)
