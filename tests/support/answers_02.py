"""Right and wrong answers to the exercises of lesson 02, as students would write them."""

import random
from itertools import combinations
from math import comb

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from medlab.train.synergic import sample_pairs

# The right answers, as a student would write them


def synergic_loss(logits, same):
    return -(same * F.logsigmoid(logits) + (1 - same) * F.logsigmoid(-logits)).mean()


def pairs(toss=None, other=None, alike=None):
    """A `balanced_pairs` whose steps may be replaced."""

    def coins(n, generator):
        return torch.rand(n, generator=generator) < 0.5

    def mate(targets, image, same, generator):
        fits = ((targets == targets[image]) == same).nonzero()[:, 0]
        return fits[torch.randint(len(fits), (), generator=generator)]

    def balanced_pairs(targets, n, generator):
        first = torch.randint(len(targets), (n,), generator=generator)
        second = torch.empty_like(first)
        for i, same in enumerate((toss or coins)(n, generator)):
            second[i] = ((alike if same else other) or mate)(targets, first[i], same, generator)
        return torch.stack([first, second])

    return balanced_pairs


def synergic_size(components, features, width, classes, backbone):
    verifiers = components * (components - 1) // 2
    component = backbone + features * classes + classes
    verifier = 2 * features * width + width + width + 1
    return verifiers, components * component + verifiers * verifier


RIGHT = {"synergic_loss": synergic_loss, "balanced_pairs": pairs(), "synergic_size": synergic_size}


# Other right answers


def by_weights(targets, n, generator):
    """All pairs at once: a matrix of weights, whose rows favour one class or all others."""
    first = torch.randint(len(targets), (n,), generator=generator)
    same = torch.rand(n, 1, generator=generator) < 0.5
    fits = (targets[first][:, None] == targets) == same
    return torch.stack([first, torch.multinomial(fits.float(), 1, generator=generator)[:, 0]])


def by_class(targets, n, generator):
    """Classes drawn uniformly, so that rare ones come often; a second class at a random distance."""
    classes = int(targets.max()) + 1
    first = torch.randint(classes, (n,), generator=generator)
    step = torch.randint(1, classes, (n,), generator=generator)
    second = torch.where(torch.rand(n, generator=generator) < 0.5, first, (first + step) % classes)
    answer = torch.empty(2, n, dtype=torch.int64)
    for row, wanted in zip(answer, (first, second)):
        for c in range(classes):
            (images,), here = (targets == c).nonzero(as_tuple=True), wanted == c
            row[here] = images[torch.randint(len(images), (int(here.sum()),), generator=generator)]
    return answer


def by_numpy(targets, n, generator):
    rng = np.random.default_rng(torch.randint(2**60, (), generator=generator).item())
    own = torch.Generator().manual_seed(int(rng.integers(2**60)))
    return by_weights(targets, n, own)


def from_a_list(targets, n, generator):
    """The positions of each class, and Python's own draws, which follow from one of the generator."""
    rng = random.Random(torch.randint(2**60, (), generator=generator).item())
    classes = targets.tolist()
    mates = {c: [i for i, one in enumerate(classes) if one == c] for c in set(classes)}
    others = {c: [i for i, one in enumerate(classes) if one != c] for c in mates}
    pairs = []
    for _ in range(n):
        first = rng.randrange(len(classes))
        pairs.append((first, rng.choice((mates if rng.random() < 0.5 else others)[classes[first]])))
    return torch.tensor(pairs).T


def until_it_fits(targets, n, generator):
    """Draw second images anew wherever they are not of the kind that was tossed."""
    first = torch.randint(len(targets), (n,), generator=generator)
    second = first.clone()
    wanted = torch.randint(2, (n,), generator=generator).bool()
    todo = torch.ones(n, dtype=torch.bool)
    while todo.any():
        second[todo] = torch.randint(len(targets), (int(todo.sum()),), generator=generator)
        todo = (targets[first] == targets[second]) != wanted
    return torch.stack((first, second))


def by_largest_key(targets, n, generator):
    """The second image is the one with the largest random number among those that fit."""
    first = torch.randint(0, len(targets), (n,), generator=generator)
    same = torch.bernoulli(torch.full((n, 1), 0.5), generator=generator) == 1
    keys = torch.rand(n, len(targets), generator=generator)
    keys[(targets[first].unsqueeze(1) == targets.unsqueeze(0)) != same] = -1
    return torch.vstack([first, keys.argmax(dim=1)])


def half_and_half(targets, n, generator):
    """Two equal parts, put in random order."""
    first = torch.randint(len(targets), (n,), generator=generator)
    same = (torch.arange(n) % 2 == 0)[torch.randperm(n, generator=generator)]
    second = []
    for image, alike in zip(first.tolist(), same.tolist()):
        fits = torch.where((targets == targets[image]) if alike else (targets != targets[image]))[0]
        second.append(fits[int(torch.rand(1, generator=generator) * len(fits))])
    return torch.stack([first, torch.stack(second)])


def by_layers(components, features, width, classes, backbone):
    def size(*layers):
        return sum(parameter.numel() for layer in layers for parameter in layer.parameters())

    with torch.device("meta"):
        component = backbone + size(nn.Linear(features, classes))
        verifier = size(nn.Linear(2 * features, width), nn.Linear(width, 1))
    pairs = list(combinations(range(components), 2))
    return len(pairs), component * components + verifier * len(pairs)


def pair_by_pair(components, features, width, classes, backbone):
    verifiers = total = 0
    for i in range(components):
        total += backbone + (features + 1) * classes
        for _ in range(i):
            verifiers += 1
            total += (2 * features + 1) * width + (width + 1)
    return verifiers, total


def by_two_classes(logits, same):
    return F.cross_entropy(torch.stack([torch.zeros_like(logits), logits], 1), same.long())


def pair_after_pair(logits, same):
    losses = []
    for logit, s in zip(logits, same):
        losses.append(F.softplus(-logit) if s == 1 else F.softplus(logit))
    return sum(losses) / len(losses)


def never_twice(targets, image, same, generator):
    fits = (targets == targets[image]).nonzero()[:, 0]
    fits = fits[fits != image]
    return fits[torch.randint(len(fits), (), generator=generator)]


OTHER = [
    ("synergic_loss", F.binary_cross_entropy_with_logits),
    ("synergic_loss", lambda logits, same: (F.softplus(logits) - same * logits).mean()),
    ("synergic_loss", lambda logits, same: F.softplus(torch.where(same > 0, -logits, logits)).double().mean()),
    ("synergic_loss", lambda logits, same: nn.BCEWithLogitsLoss()(logits, same)),
    ("synergic_loss", lambda logits, same: F.soft_margin_loss(logits, 2 * same - 1)),
    ("synergic_loss", lambda x, s: (x.clamp(min=0) - x * s + torch.log1p(torch.exp(-x.abs()))).mean()),
    ("synergic_loss", by_two_classes),
    ("synergic_loss", pair_after_pair),
    ("balanced_pairs", from_a_list),
    ("balanced_pairs", until_it_fits),
    ("balanced_pairs", by_largest_key),
    ("balanced_pairs", half_and_half),
    ("balanced_pairs", by_weights),
    ("balanced_pairs", by_class),
    ("balanced_pairs", by_numpy),
    ("balanced_pairs", pairs(alike=never_twice)),
    ("balanced_pairs", pairs(toss=lambda n, g: torch.arange(n) < n / 2)),
    ("balanced_pairs", lambda targets, n, g: sample_pairs(targets, 2, n, g)),
    ("synergic_size", lambda *case: tuple(np.array(synergic_size(*case)))),
    ("synergic_size", lambda *case: list(synergic_size(*case))),
    ("synergic_size", by_layers),
    ("synergic_size", pair_by_pair),
    ("synergic_size", lambda n, f, w, c, b: (comb(n, 2), n * (b + f * c + c) + comb(n, 2) * (2 * f * w + 2 * w + 1))),
]


# Wrong answers, and what the check must say to them


def naive(logits, same):
    p = logits.sigmoid()
    return -(same * p.log() + (1 - same) * (1 - p).log()).mean()


def of_probabilities(p, same):
    return -(same * p.log() + (1 - same) * (1 - p).log()).mean()


def anything(targets, image, same, generator):
    return torch.randint(len(targets), (), generator=generator)


def itself(targets, image, same, generator):
    return image


def neighbor(targets, image, same, generator):
    fits = (targets == targets[image]).nonzero()[:, 0]
    return fits[((fits == image).nonzero()[0, 0] + 1) % len(fits)]


def first_of_class(targets, image, same, generator):
    return (targets == targets[image]).nonzero()[0, 0]


def independent_classes(targets, n, generator):
    weight = 1 / torch.bincount(targets)[targets]
    return torch.multinomial(weight, 2 * n, replacement=True, generator=generator).reshape(2, n)


def without_class_0(targets, n, generator):
    kept = (targets > 0).nonzero()[:, 0]
    return kept[by_weights(targets[kept], n, generator)] if targets.max() > 1 else by_weights(targets, n, generator)


def rows_in_order(targets, n, generator):
    first = torch.arange(n) % len(targets)
    fits = (targets[first][:, None] == targets) == (torch.rand(n, 1, generator=generator) < 0.5)
    return torch.stack([first, torch.multinomial(fits.float(), 1, generator=generator)[:, 0]])


def unseeded(targets, n, generator):
    return by_weights(targets, n, torch.Generator().manual_seed(np.random.default_rng().integers(2**60).item()))


def half_unseeded(targets, n, generator):
    return by_weights(targets, n, generator)[:, torch.from_numpy(np.random.default_rng().permutation(n))]


def size(verifiers=None, concatenated=2, bias=(1, 1, 1), shared=False):
    """A `synergic_size` with a mistake."""

    def wrong(n, features, width, classes, backbone):
        number = verifiers(n) if verifiers else n * (n - 1) // 2
        verifier = (concatenated * features + bias[1]) * width + width + bias[2]
        components = (1 if shared else n) * backbone + n * (features + bias[0]) * classes
        return number, components + number * verifier

    return wrong


WRONG = [
    ("synergic_loss", lambda logits, same: -synergic_loss(logits, same), "the minus sign is missing"),
    ("synergic_loss", lambda logits, same: synergic_loss(logits, same) * len(logits), "the sum over the pairs"),
    ("synergic_loss", lambda logits, same: synergic_loss(logits, 1 - same), "the labels are swapped"),
    ("synergic_loss", of_probabilities, "the logits are taken for probabilities"),
    ("synergic_loss", lambda logits, same: of_probabilities(logits.softmax(0), same), "softmax over the pairs"),
    ("synergic_loss", lambda logits, same: synergic_loss(logits.sigmoid(), same), "the sigmoid is taken twice"),
    ("synergic_loss", naive, "take the log of the sigmoid from the logit"),
    ("synergic_loss", lambda x, s: F.binary_cross_entropy(x.sigmoid(), s), "the logarithm is cut off at -100"),
    ("synergic_loss", lambda x, s: of_probabilities(x.sigmoid().clamp(1e-7, 1 - 1e-7), s), "expected: "),
    ("synergic_loss", lambda x, s: of_probabilities(x.double().sigmoid(), s), "from the logit"),
    ("synergic_loss", lambda x, s: -(s * F.logsigmoid(x)).mean(), "pairs of two classes are left out"),
    ("synergic_loss", lambda x, s: -((1 - s) * F.logsigmoid(-x)).mean(), "pairs of one class are left out"),
    ("synergic_loss", lambda x, s: synergic_loss(x, s).item(), "returned float, not a torch tensor"),
    ("synergic_loss", lambda x, s: synergic_loss(x, s).detach(), "cut the gradient"),
    ("synergic_loss", lambda x, s: F.softplus(-x) * s + F.softplus(x) * (1 - s), "the shape is (3,), not ()"),
    ("synergic_loss", lambda x, s: synergic_loss(x.sub_(0.1), s), "an operation in place; work on a copy"),
    ("balanced_pairs", lambda t, n, g: torch.randint(len(t), (2, n), generator=g), "drawn independently of each other"),
    ("balanced_pairs", independent_classes, "the two classes are drawn independently"),
    ("balanced_pairs", pairs(toss=lambda n, g: torch.ones(n).bool()), "all pairs have the same class"),
    ("balanced_pairs", pairs(toss=lambda n, g: torch.zeros(n).bool()), "no pair has the same class"),
    ("balanced_pairs", pairs(toss=lambda n, g: torch.rand(n, generator=g) < 0.4), "expected: 45 to 55 %"),
    ("balanced_pairs", pairs(other=anything), "among the other classes only"),
    ("balanced_pairs", pairs(alike=itself), "draw the second image of a pair anew"),
    ("balanced_pairs", pairs(alike=neighbor), "not follow from the first"),
    ("balanced_pairs", pairs(alike=first_of_class), "every image of class 1 must be equally likely"),
    ("balanced_pairs", without_class_0, "row 0 has no image of class 0"),
    ("balanced_pairs", rows_in_order, "row 0 is not drawn at random"),
    ("balanced_pairs", unseeded, "something is not drawn from `generator`"),
    ("balanced_pairs", half_unseeded, "something is not drawn from `generator`"),
    ("balanced_pairs", lambda t, n, g: by_weights(t, n, g.manual_seed(0)), "the generator does not move on"),
    ("balanced_pairs", lambda t, n, g: by_weights(t, n, torch.Generator().manual_seed(0)), "does not move on"),
    ("balanced_pairs", lambda t, n, g: t[by_weights(t, n, g)], "these are classes"),
    ("balanced_pairs", lambda t, n, g: by_weights(t, n, g) + 1, "counted from 0"),
    ("balanced_pairs", lambda t, n, g: by_weights(t, n, g).T, "one row per network, one column per pair"),
    ("balanced_pairs", lambda t, n, g: by_weights(t, n // 2 * 2, g), "one column per pair"),
    ("balanced_pairs", lambda t, n, g: by_weights(t, n, g).int(), "a tensor of torch.int32"),
    ("balanced_pairs", lambda t, n, g: by_weights(t, n, g).float(), "a tensor of torch.float32"),
    ("balanced_pairs", lambda t, n, g: tuple(by_weights(t, n, g)), "returned tuple"),
    ("synergic_size", size(lambda n: n**2), "n squared counts every pair twice"),
    ("synergic_size", size(lambda n: n * (n - 1)), "every pair is counted twice"),
    ("synergic_size", size(lambda n: n * (n + 1) // 2), "no component is paired with itself"),
    ("synergic_size", size(lambda n: n), "one verifier per component"),
    ("synergic_size", size(lambda n: 1), "one verifier in all"),
    ("synergic_size", size(lambda n: n * (n - 1) / 2), "returned float, not int: divide with //"),
    ("synergic_size", size(concatenated=1), "2 * features inputs"),
    ("synergic_size", size(bias=(0, 0, 0)), "the biases of all linear layers"),
    ("synergic_size", size(bias=(0, 1, 1)), "the biases of the classifiers"),
    ("synergic_size", size(bias=(1, 0, 0)), "the biases of the verifiers"),
    ("synergic_size", size(bias=(1, 0, 1)), "the bias of a verifier's hidden layer"),
    ("synergic_size", size(bias=(1, 1, 0)), "the bias of a verifier's last layer"),
    ("synergic_size", size(shared=True), "the backbone is not shared"),
    ("synergic_size", lambda *case: synergic_size(*case)[::-1], "first the verifiers, then the parameters"),
    ("synergic_size", lambda *case: synergic_size(*case)[1], "return both numbers"),
    ("synergic_size", lambda *case: (synergic_size(*case)[0], 483), "case:     the parameters of synergic_size(4, "),
]
