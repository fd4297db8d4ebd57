"""Exercises of lesson 12: what moves in a network that is partly frozen, the contrastive loss."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from medlab.classroom.exercises import Attempt, exercise


@exercise
def what_moves(what_moves: Attempt) -> None:
    """Write ``what_moves(network)``: the names of all numbers that change when a network is trained as it stands.

    `network` is an ``nn.Module`` that takes images ``(N, 1, 8, 8)``. The answer is two lists of names, each in any
    order. First the parameters that learn, by the names of ``network.named_parameters()``: all but the frozen ones.
    Then the running means and variances of ``nn.BatchNorm2d`` that a batch moves, by the names of
    ``network.named_buffers()``: those of every such layer that is *itself* in training mode, whatever its weights do.
    `num_batches_tracked` only counts, and is left out. For ``nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4),
    nn.Flatten(), nn.Linear(144, 2))`` in training mode, with all parameters but the linear layer's frozen, it is
    ``["3.weight", "3.bias"], ["1.running_mean", "1.running_var"]``.
    """
    with torch.random.fork_rng(devices=[]):
        networks = list(_networks())
    for about, network in networks:
        parameters = {name: one.requires_grad for name, one in network.named_parameters()}
        layers = {name: one for name, one in network.named_modules() if isinstance(one, nn.BatchNorm2d)}
        told = what_moves(network)
        what_moves.case = f"what_moves(network), {about}"
        answer = _two_lists(what_moves, told)
        learn = {name for name, learns in parameters.items() if learns}
        _same_names(
            what_moves,
            "parameters that learn",
            answer[0],
            learn,
            {
                "frozen_ones": set(parameters) - learn,
                "all_parameters": set(parameters),
                "children_only": {name for name in learn if name.count(".") == 1},
            },
        )
        kept = {name: one for name, one in layers.items() if one.track_running_stats}
        in_training = {name for name, one in kept.items() if one.training}
        with_gradient = {name for name, one in kept.items() if one.weight is not None and one.weight.requires_grad}
        _same_names(
            what_moves,
            "running statistics that move",
            answer[1],
            _statistics(in_training),
            {
                "counts_too": _statistics(in_training, "running_mean", "running_var", "num_batches_tracked"),
                "means_only": _statistics(in_training, "running_mean"),
                "none_kept": _statistics({name for name, one in layers.items() if one.training}),
                "mode_ignored": _statistics(set(kept)),
                "of_network": _statistics(set(kept) if network.training else set()),
                "by_gradient": _statistics(with_gradient),
                "both_needed": _statistics(with_gradient & in_training),
                "weights_of_layer": {f"{name}.{part}" for name in in_training for part in ("weight", "bias")},
                "direct_only": _statistics({name for name in in_training if "." not in name}),
            },
        )


def _networks() -> Iterable[tuple[str, nn.Module]]:
    # the example of the text comes second: in the first, no two mistakes give the same
    network = _build().eval()
    network[2].requires_grad_(False)
    for name in ("2.1", "3", "4.1"):
        network.get_submodule(name).train()
    yield "part 2 frozen; layers 2.1, 3 and 4.1 in training mode, all others in evaluation mode", network
    example = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2))
    example.requires_grad_(False)[3].requires_grad_(True)
    yield "the network of the text", example
    network = _build().requires_grad_(False)
    network[8].requires_grad_(True)
    network[1].eval()
    yield "frozen up to the last layer; in training mode, but layer 1 in evaluation mode", network
    yield "nothing frozen, in evaluation mode", _build().eval()


def _build() -> nn.Sequential:
    inner = [nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()) for _ in range(2)]
    last = [nn.GroupNorm(2, 4), nn.BatchNorm2d(4, track_running_stats=False), nn.Flatten(), nn.Linear(144, 2)]
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), inner[0], nn.BatchNorm2d(4), inner[1], *last)


def _statistics(layers: set[str], *parts: str) -> set[str]:
    return {f"{name}.{part}" for name in layers for part in parts or ("running_mean", "running_var")}


def _two_lists(attempt: Attempt, told: object) -> list[set[str]]:
    parts = list(told) if isinstance(told, tuple | list) else []
    if len(parts) != 2 or not all(isinstance(part, list | tuple | set) for part in parts):
        attempt.wrong(told, "two lists of names", "two_lists")
    names = [list(part) for part in parts]
    if not all(isinstance(name, str) for part in names for name in part):
        attempt.wrong(told, "names, such as '3.weight'", "not_names")
    return [set(part) for part in names]


def _same_names(attempt: Attempt, what: str, got: set[str], right: set[str], mistakes: dict[str, set[str]]) -> None:
    texts = {attempt.mistakes[key] for key, answer in mistakes.items() if answer != right}
    if got == right:
        attempt.ruled_out |= texts
        return
    found = [
        key for key, answer in mistakes.items() if answer == got and attempt.mistakes[key] not in attempt.ruled_out
    ]
    attempt.wrong(f"{what}: {sorted(got)}", f"{what}: {sorted(right)}", *found[:1])


@exercise
def contrastive(contrastive: Attempt) -> None:
    """Write ``contrastive(first, second, temperature)``: the contrastive loss of SimCLR, a tensor without axes.

    `first` and `second` ``(N, D)`` are features of the first and the second views of N images, row by row of the same
    image; N is at least 2. Divide each of the 2N rows by its length. The likeness of two views is their scalar product,
    divided by `temperature`. Each view asks which of the 2N - 1 *others* is the other view of its image: the loss is
    the cross-entropy of this question, the mean over all 2N views. Gradients flow back to the features. For ``first =
    second = [[1., 0.], [0., 1.]]`` and temperature 1 it is log(e + 2) - 1 = 0.551.
    """
    draws = torch.Generator().manual_seed(0)
    cases = [(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 1.0], [1.0, 3.0]]), 0.5)]
    cases += [(torch.eye(2), torch.eye(2), 1.0)]  # the example of the text
    for n, size, temperature in ((3, 5, 1.0), (8, 16, 0.1), (20, 4, 0.5)):
        first = torch.randn(n, size, generator=draws) * torch.linspace(0.5, 2, n)[:, None]
        cases.append((first, first.flip(1) + torch.randn(n, size, generator=draws), temperature))
    for first, second, temperature in cases:
        views = torch.cat([normalize(first, dim=1), normalize(second, dim=1)])
        n, alike = len(first), views @ views.T / temperature
        mine = torch.arange(2 * n).roll(n)
        hidden = alike.masked_fill(torch.eye(2 * n, dtype=torch.bool), -torch.inf)
        each = cross_entropy(hidden, mine, reduction="none")
        plain = torch.cat([first, second])
        contrastive.compare(
            contrastive(first, second, temperature),
            each.mean(),
            {
                "itself": cross_entropy(alike, mine),
                "not_normalized": _loss(plain @ plain.T / temperature),
                "multiplied": _loss(views @ views.T * temperature),
                "no_temperature": _loss(views @ views.T),
                "other_set_only": cross_entropy(alike[:n, n:], torch.arange(n)),
                "first_only": each[:n].mean(),
                "sum": each.sum(),
                "over_images": each.sum() / n,
                "without_own": (alike[range(2 * n), mine].neg() + _others(hidden, mine)).mean(),
                "sign": -each.mean(),
                "probability": (-each).exp().mean(),
                "by_dimension": _loss(normalize(plain, dim=0) @ normalize(plain, dim=0).T / temperature),
            },
        )
    contrastive.check_gradient(*(part.requires_grad_() for part in cases[0][:2]), 0.5)


def _loss(alike: Tensor) -> Tensor:
    hidden = alike.masked_fill(torch.eye(len(alike), dtype=torch.bool), -torch.inf)
    return cross_entropy(hidden, torch.arange(len(alike)).roll(len(alike) // 2))


def _others(hidden: Tensor, mine: Tensor) -> Tensor:
    return hidden.scatter(1, mine[:, None], -torch.inf).logsumexp(1)
