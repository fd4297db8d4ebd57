"""Right and wrong answers to the exercises of lesson 02, as students would write them."""

import numpy as np
import torch
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


def never_twice(targets, image, same, generator):
    fits = (targets == targets[image]).nonzero()[:, 0]
    fits = fits[fits != image]
    return fits[torch.randint(len(fits), (), generator=generator)]


OTHER = [
    ("synergic_loss", F.binary_cross_entropy_with_logits),
    ("synergic_loss", lambda logits, same: (F.softplus(logits) - same * logits).mean()),
    ("synergic_loss", lambda logits, same: F.softplus(torch.where(same > 0, -logits, logits)).double().mean()),
    ("balanced_pairs", by_weights),
    ("balanced_pairs", by_class),
    ("balanced_pairs", by_numpy),
    ("balanced_pairs", pairs(alike=never_twice)),
    ("balanced_pairs", pairs(toss=lambda n, g: torch.arange(n) < n / 2)),
    ("balanced_pairs", lambda targets, n, g: sample_pairs(targets, 2, n, g)),
    ("synergic_size", lambda *case: tuple(np.array(synergic_size(*case)))),
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
