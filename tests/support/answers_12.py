"""Right and wrong answers to the exercises of lesson 12, as students would write them."""

import copy
import math

import torch
from torch import nn
from torch.nn import functional as F

# The right answers, as a student would write them


def of_layers(network, moves=lambda layer: layer.training and layer.track_running_stats):
    learn = [name for name, one in network.named_parameters() if one.requires_grad]
    layers = [name for name, one in network.named_modules() if isinstance(one, nn.BatchNorm2d) and moves(one)]
    return learn, [f"{name}.{part}" for name in layers for part in ("running_mean", "running_var")]


def simclr(first, second, temperature):
    views = F.normalize(torch.cat([first, second]), dim=1)
    alike = views @ views.T / temperature
    alike = alike.masked_fill(torch.eye(len(views), dtype=torch.bool), -torch.inf)
    return F.cross_entropy(alike, torch.arange(len(views)).roll(len(first)))


RIGHT = {"what_moves": [of_layers], "contrastive": [simclr]}


# Other right answers


def by_trying(network):
    """Put images through a copy, and look at what has changed."""
    tried = copy.deepcopy(network)
    before = {name: one.clone() for name, one in tried.named_buffers()}
    with torch.no_grad():
        tried(torch.rand(8, 1, 8, 8))
    moved = [name for name, one in tried.named_buffers() if not torch.equal(one, before[name])]
    learn = {name for name, one in network.named_parameters() if one.requires_grad}
    return learn, {name for name in moved if "num_batches" not in name}


def by_training(network):
    """A whole step with an optimizer, on a copy."""
    tried = copy.deepcopy(network)
    before = copy.deepcopy(tried.state_dict())
    optimizer = torch.optim.SGD([one for one in tried.parameters() if one.requires_grad], lr=0.1)
    F.cross_entropy(tried(torch.randn(16, 1, 8, 8)), torch.arange(16) % 2).backward()
    learn = [name for name, one in tried.named_parameters() if one.grad is not None]
    optimizer.step()
    buffers = [name for name, _ in tried.named_buffers() if "running" in name]
    return learn, [name for name in buffers if not torch.equal(before[name], tried.state_dict()[name])]


def by_buffers(network):
    learn, move = [], []
    for name, one in network.named_parameters():
        if one.requires_grad:
            learn.append(name)
    for name, _ in network.named_buffers():
        layer, _, kind = name.rpartition(".")
        if kind.startswith("running_") and network.get_submodule(layer).training:
            move.append(name)
    return [learn, move]


def downwards(network, prefix=""):
    learn, move = [], []
    for name, part in network.named_children():
        below = downwards(part, f"{prefix}{name}.")
        learn, move = learn + below[0], move + below[1]
    learn += [prefix + name for name, one in network.named_parameters(recurse=False) if one.requires_grad]
    if network.training:
        move += [prefix + name for name, _ in network.named_buffers(recurse=False) if name.startswith("running")]
    return learn, move


def as_tuples(network):
    learn, move = of_layers(network)
    return tuple(reversed(learn)), tuple(sorted(move))


def by_logsumexp(first, second, temperature):
    rows = torch.cat([first, second])
    rows = rows / rows.norm(dim=1, keepdim=True)
    alike, n = rows @ rows.T / temperature, len(first)
    own = (rows[:n] * rows[n:]).sum(1).repeat(2) / temperature
    alike.fill_diagonal_(-torch.inf)
    return (alike.logsumexp(1) - own).mean()


def by_loops(first, second, temperature):
    rows = [row / row.norm() for row in torch.cat([first, second])]
    n, total = len(first), 0.0
    for i, row in enumerate(rows):
        below = sum(torch.exp(row @ other / temperature) for k, other in enumerate(rows) if k != i)
        total = total - torch.log(torch.exp(row @ rows[(i + n) % (2 * n)] / temperature) / below)
    return total / (2 * n)


def by_softmax(first, second, temperature):
    z = F.normalize(torch.vstack((first, second)))
    scores = torch.einsum("id,jd->ij", z, z).div(temperature)
    scores = scores - 1e9 * torch.eye(len(z))
    probs, n = scores.softmax(dim=1), len(first)
    own = torch.cat([probs[:n, n:].diagonal(), probs[n:, :n].diagonal()])
    return -own.log().mean()


def by_cosine(first, second, temperature):
    views = torch.cat((first, second))
    alike = F.cosine_similarity(views[:, None], views[None], dim=2) / temperature
    n = len(first)
    others = ~torch.eye(2 * n, dtype=torch.bool)
    return -torch.stack(
        [alike[i, (i + n) % (2 * n)] - alike[i][others[i]].exp().sum().log() for i in range(2 * n)]
    ).mean()


def by_removal(first, second, temperature):
    """The diagonal is taken out, so each row has 2N - 1 places."""
    z, n = F.normalize(torch.cat([first, second]), dim=-1), len(first)
    alike = (z @ z.t() / temperature)[~torch.eye(2 * n, dtype=torch.bool)].view(2 * n, -1)
    labels = torch.cat([torch.arange(n) + n - 1, torch.arange(n)])
    return F.cross_entropy(alike, labels)


def by_blocks(first, second, temperature):
    a, b, n = F.normalize(first), F.normalize(second), len(first)
    hidden = torch.full((n,), -torch.inf).diag_embed()
    hidden = torch.where(torch.eye(n, dtype=torch.bool), hidden, torch.zeros(n, n))
    from_a = torch.cat([a @ b.T, a @ a.T], 1) / temperature + torch.cat([torch.zeros(n, n), hidden], 1)
    from_b = torch.cat([b @ a.T, b @ b.T], 1) / temperature + torch.cat([torch.zeros(n, n), hidden], 1)
    own = torch.arange(n)
    return (F.cross_entropy(from_a, own) + F.cross_entropy(from_b, own)) / 2


def by_log_softmax(first, second, temperature):
    z = torch.cat([first, second]).double()
    z = z / z.pow(2).sum(1, keepdim=True).sqrt()
    alike = (z @ z.mT / temperature).fill_diagonal_(float("-inf"))
    return F.nll_loss(alike.log_softmax(1), torch.arange(len(z)).roll(-len(first)))


def in_turns(first, second, temperature):
    """The views of an image one below the other, as in the paper."""
    z = F.normalize(torch.stack([first, second], dim=1).flatten(0, 1), dim=1)
    alike = torch.exp(z @ z.T / temperature)
    below = alike.sum(1) - alike.diagonal()
    own = alike[torch.arange(len(z)), torch.arange(len(z)) ^ 1]
    return -(own / below).log().sum() / len(z)


OTHER = [
    ("what_moves", [by_trying]),
    ("what_moves", [by_buffers]),
    ("what_moves", [downwards]),
    ("what_moves", [as_tuples]),
    ("what_moves", [by_training]),
    ("what_moves", [lambda n: tuple(map(list, of_layers(n)))]),
    ("what_moves", [lambda n: [list(names)[::-1] for names in of_layers(n)]]),
    ("what_moves", [lambda n: of_layers(n, lambda one: one.training and one.running_mean is not None)]),
    ("what_moves", [lambda n: list(map(sorted, of_layers(n)))]),
    (
        "what_moves",
        [lambda n: [(*names,) for names in of_layers(n, lambda one: one.training and one.running_var is not None)]],
    ),
    ("contrastive", [by_logsumexp]),
    ("contrastive", [by_loops]),
    ("contrastive", [by_softmax]),
    ("contrastive", [by_cosine]),
    ("contrastive", [by_removal]),
    ("contrastive", [by_blocks]),
    ("contrastive", [by_log_softmax]),
    ("contrastive", [in_turns]),
    ("contrastive", [lambda first, second, temperature: simclr(second, first, temperature)]),
    ("contrastive", [lambda a, b, t: simclr(3 * a, b / 2, t)]),
]


# Wrong answers, and what the check must say to them


def moves(of):
    """A `what_moves` whose statistics are those of the layers of normalization that `of` names."""

    def wrong(network):
        layers = {name: one for name, one in network.named_modules() if isinstance(one, nn.BatchNorm2d)}
        names = [name for name, one in layers.items() if of(network, name, one)]
        return of_layers(network)[0], [f"{name}.{part}" for name in names for part in ("running_mean", "running_var")]

    return [wrong]


def learns(of):
    """A `what_moves` whose parameters are those that `of` names."""
    return [lambda network: ([n for n, one in network.named_parameters() if of(n, one)], of_layers(network)[1])]


def ends(*parts):
    """A `what_moves` with other parts of the layers whose statistics move."""

    def wrong(network):
        learn, move = of_layers(network)
        return learn, [f"{name[:-13]}.{part}" for name in move if name.endswith("running_mean") for part in parts]

    return [wrong]


def kept(one):
    return one.running_mean is not None


def loss(of):
    """A `contrastive` of the normalized views, with a mistake."""

    def wrong(first, second, temperature):
        views = F.normalize(torch.cat([first, second]), dim=1)
        return of(views, len(first), temperature)

    return [wrong]


def asked(alike):
    hidden = alike.masked_fill(torch.eye(len(alike), dtype=torch.bool), -torch.inf)
    return F.cross_entropy(hidden, torch.arange(len(alike)).roll(len(alike) // 2), reduction="none")


def by_columns(first, second, temperature):
    views = F.normalize(torch.cat([first, second]), dim=0)
    return asked(views @ views.T / temperature).mean()


def negatives_only(views, n, temperature):
    alike = (views @ views.T / temperature).exp()
    own = alike[torch.arange(2 * n), torch.arange(2 * n).roll(n)]
    return (-(own / (alike.sum(1) - alike.diagonal() - own)).log()).mean()


WRONG = [
    ("what_moves", [lambda network: [name for name, _ in network.named_parameters()]], "two lists of names"),
    ("what_moves", [lambda network: tuple(map(len, of_layers(network)))], "two lists of names"),
    ("what_moves", [lambda n: ([one for one in n.parameters() if one.requires_grad], [])], "give names"),
    ("what_moves", learns(lambda name, one: not one.requires_grad), "these are the frozen ones"),
    ("what_moves", learns(lambda name, one: True), "these are all parameters"),
    ("what_moves", learns(lambda name, one: one.requires_grad and name.count(".") == 1), "all the way down"),
    ("what_moves", ends("running_mean", "running_var", "num_batches_tracked"), "only a count"),
    ("what_moves", ends("running_mean"), "variance moves as well"),
    ("what_moves", ends("weight", "bias"), "are parameters"),
    ("what_moves", moves(lambda network, name, one: one.training), "keeps none"),
    ("what_moves", moves(lambda network, name, one: kept(one)), "leaves them as they are"),
    ("what_moves", moves(lambda network, name, one: kept(one) and network.training), "ask each layer"),
    ("what_moves", moves(lambda network, name, one: kept(one) and one.weight.requires_grad), "mode that decides"),
    (
        "what_moves",
        moves(lambda network, name, one: kept(one) and one.training and one.weight.requires_grad),
        "a frozen layer in training mode",
    ),
    (
        "what_moves",
        moves(lambda network, name, one: kept(one) and one.training and "." not in name),
        "`named_modules()` goes all the way down",
    ),
    ("what_moves", [lambda network: of_layers(network.eval())], "input"),
    ("what_moves", [lambda network: None], "there is no `return`"),
    ("contrastive", loss(lambda z, n, t: F.cross_entropy(z @ z.T / t, torch.arange(2 * n).roll(n))), "find itself"),
    (
        "contrastive",
        [lambda first, second, t: asked(torch.cat([first, second]) @ torch.cat([first, second]).T / t).mean()],
        "divide each row by its length",
    ),
    ("contrastive", loss(lambda z, n, t: asked(z @ z.T * t).mean()), "do not multiply"),
    ("contrastive", loss(lambda z, n, t: asked(z @ z.T).mean()), "the temperature is not used"),
    ("contrastive", loss(lambda z, n, t: F.cross_entropy(z[:n] @ z[n:].T / t, torch.arange(n))), "*all* others"),
    ("contrastive", loss(lambda z, n, t: asked(z @ z.T / t)[:n].mean()), "the second views ask, too"),
    ("contrastive", loss(lambda z, n, t: asked(z @ z.T / t).sum()), "not the sum"),
    ("contrastive", loss(lambda z, n, t: asked(z @ z.T / t).sum() / n), "divide by 2N"),
    ("contrastive", loss(negatives_only), "belongs into the sum below"),
    ("contrastive", loss(lambda z, n, t: -asked(z @ z.T / t).mean()), "the minus sign is missing"),
    ("contrastive", loss(lambda z, n, t: asked(z @ z.T / t).neg().exp().mean()), "mean probability"),
    ("contrastive", [by_columns], "each *row*"),
    ("contrastive", [lambda first, second, t: simclr(first, second, t).detach()], "no gradient flows"),
    ("contrastive", loss(lambda z, n, t: math.log(2 * n - 1)), "not a torch tensor"),
]
