"""Exercises of lesson 02: loss of a verifier, balanced pairs, parameters of a synergic network."""

from functools import cache
from itertools import count

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy as bce
from torch.nn.functional import binary_cross_entropy_with_logits as bce_with_logits
from torch.nn.functional import logsigmoid

from medlab.classroom.exercises import Attempt, exercise

_NUMBERS = count()  # of the generators
PAIRS = 6000  # so many that a proportion of one half stays within 45 to 55 %


@exercise
def synergic_loss(synergic_loss: Attempt) -> None:
    """Write ``synergic_loss(logits, same)``: the loss of a verifier.

    `logits` ``(N,)`` is the verifier's answer to N pairs of images, `same` ``(N,)`` a floating-point tensor, 1 where
    the two images have the same class and 0 where not. With ``p = sigmoid(logit)`` the loss of a pair is
    ``-(s log p + (1 - s) log(1 - p))``; the answer is the mean over the pairs, a tensor without axes through which
    gradients flow. It is exact for every logit from -60 to 60. For logits ``[0.0, 2.0]`` and same ``[1.0, 0.0]`` it is
    ``(0.693 + 2.127) / 2 = 1.410``.
    """
    generator = torch.Generator().manual_seed(0)
    cases = [(torch.tensor([0.2, 0.7, 0.6]), torch.tensor([1.0, 0.0, 1.0]))]  # they could be taken for probabilities
    cases += [(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 0.0])), (torch.tensor([-1.5]), torch.tensor([1.0]))]
    for n in (4, 7, 32):
        same = (torch.rand(n, generator=generator) < 0.5).float()
        cases.append((2 * torch.randn(n, generator=generator), same))
    edge = torch.tensor([60.0, -60.0])
    cases += [(edge, torch.tensor([1.0, 0.0])), (edge, torch.tensor([0.0, 1.0])), (edge, torch.ones(2))]
    for logits, same in cases:
        p, expected = logits.sigmoid(), bce_with_logits(logits, same)
        got = synergic_loss(logits, same)
        if isinstance(got, Tensor) and got.ndim == 0 and not got.isfinite():
            synergic_loss.wrong(got, expected, "log_of_sigmoid" if logits.abs().max() == 60 else "log_of_zero")
        synergic_loss.compare(
            got,
            expected,
            {
                "sign": -expected,
                "sum": expected * len(logits),
                "labels_swapped": bce_with_logits(logits, 1 - same),
                "no_sigmoid": bce(logits.clamp(0, 1), same),
                "softmax": bce(logits.softmax(0), same),
                "two_sigmoids": bce_with_logits(p, same),
                "different_missing": -(same * logsigmoid(logits)).mean(),
                "same_missing": -((1 - same) * logsigmoid(-logits)).mean(),
                "clamped": bce(p, same),
            },
        )
    synergic_loss.check_gradient(torch.tensor([0.5, -1.0], requires_grad=True), torch.tensor([1.0, 0.0]))


class _Generator(torch.Generator):
    """A generator that the student's function gets itself, not a copy: its state must move on."""

    def __init__(self) -> None:
        super().__init__()
        self.number = next(_NUMBERS)

    def __reduce__(self) -> tuple:  # in the process of the answer it is one, too, and moves on there
        return _same_generator, (self.number, self.initial_seed())

    def __deepcopy__(self, memo: dict) -> "_Generator":
        return self

    def __repr__(self) -> str:
        return f"torch.Generator of seed {self.initial_seed()}"


@cache
def _same_generator(number: int, seed: int) -> torch.Generator:
    return _Generator().manual_seed(seed)


@exercise
def balanced_pairs(balanced_pairs: Attempt) -> None:
    """Write ``balanced_pairs(targets, n, generator)``, which draws the images of n pairs.

    `targets` ``(M,)`` holds the classes of M images as int64, 0 .. K - 1 in any order, K at least 2, every class with
    at least two images. The answer is an int64 tensor ``(2, n)`` of positions in `targets`: column i is a pair, row 0
    what network 1 sees, row 1 what network 2 sees. The two images of a pair have the same class with probability 1/2
    (45 to 55 % of many pairs, also where one class is rare). Both rows are random and hold all classes; within a class
    all images are equally likely, and a pair is one image twice by chance only. All randomness comes from `generator`
    (a torch.Generator): the same state gives the same pairs, and the next call gives others. For targets
    ``[0, 0, 1, 1]`` the column ``(0, 1)`` is a pair of the same class, ``(3, 0)`` is not.
    """
    for n in (1, 4, 7):
        _check_positions(balanced_pairs, torch.tensor([0, 1, 1, 0, 2, 2]), n, _Generator().manual_seed(n))
    for counts in ([8, 6, 4, 3, 3], [20, 4]):
        targets = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        targets = targets[torch.randperm(len(targets), generator=torch.Generator().manual_seed(1))]
        _check_draw(balanced_pairs, targets)
        generators = [_Generator().manual_seed(seed) for seed in (7, 7, 8)]
        pairs, same, other = (_check_positions(balanced_pairs, targets, 100, generator) for generator in generators)
        if torch.equal(pairs, _check_positions(balanced_pairs, targets, 100, generators[0])):
            balanced_pairs.wrong("the same pairs at the next call", "new pairs", "generator_stands_still")
        if not torch.equal(pairs, same):
            mistake = "other_randomness"
            balanced_pairs.wrong("other pairs", "the same pairs for the same state of the generator", mistake)
        for row in (0, 1):
            if torch.equal(pairs[row], other[row]):
                balanced_pairs.wrong(f"row {row} as for seed 7", "another row", "not_random", row=row)


def _check_positions(attempt: Attempt, targets: Tensor, n: int, generator: torch.Generator) -> Tensor:
    pairs = attempt(targets, n, generator)
    if not isinstance(pairs, Tensor) or pairs.dtype != torch.int64:
        kind = f"a tensor of {pairs.dtype}" if isinstance(pairs, Tensor) else type(pairs).__name__
        attempt.wrong(pairs, f"an int64 tensor, shape (2, {n})", "kind", kind=kind)
    if pairs.shape != (2, n):
        attempt.wrong(f"shape {tuple(pairs.shape)}", f"shape (2, {n})", "shape")
    if pairs.min() < 0 or pairs.max() >= len(targets):
        attempt.wrong(pairs, f"positions from 0 to {len(targets) - 1}", "out_of_range")
    return pairs


def _check_draw(attempt: Attempt, targets: Tensor) -> None:
    pairs, counts = _check_positions(attempt, targets, PAIRS, _Generator().manual_seed(6)), torch.bincount(targets)
    if pairs.max() < len(counts):
        attempt.wrong(f"no position above {int(pairs.max())}", f"positions from 0 to {len(targets) - 1}", "classes")
    first, second = classes = targets[pairs]
    same = first == second
    share, random = float(same.double().mean()), float((counts / len(targets)).square().sum())
    if not 0.45 <= share <= 0.55:
        usual = {
            "never_same": 0.0,
            "always_same": 1.0,
            "independent_images": random,
            "independent_classes": 1 / len(counts),
            "different_from_all": (1 + random) / 2,
        }
        mistake = min(usual, key=lambda name: abs(usual[name] - share))
        mistake = mistake if abs(usual[mistake] - share) < 0.03 else ""
        attempt.wrong(f"{share:.0%} of {PAIRS} pairs have the same class", "45 to 55 %", mistake)
    for row in (0, 1):
        drawn = torch.bincount(pairs[row], minlength=len(targets))
        of_class = torch.bincount(classes[row], minlength=len(counts))
        if of_class.min() == 0:
            attempt.wrong(f"row {row} has no image of class {of_class.argmin()}", "images of all classes in both rows")
        fair = (of_class / counts)[targets]
        for image in ((drawn > 2 * fair) | (drawn < fair / 2)).nonzero().ravel().tolist():
            got = f"row {row} has image {image} {drawn[image]} times"
            attempt.wrong(got, f"about {fair[image]:.0f} times", "uneven", target=int(targets[image]))
    twice, chance = (pairs[0] == pairs[1])[same].double().mean(), (1 / counts[first[same]]).mean()
    if twice > chance + 0.1:
        attempt.wrong(f"one image twice in {twice:.0%} of the same-class pairs", f"about {chance:.0%}", "same_image")
    partners = torch.bincount(torch.unique(pairs, dim=1)[0], minlength=len(targets))
    if partners.min() < len(targets) * 2 / 3:
        mistake = "fixed_partner"
        attempt.wrong(f"an image meets only {int(partners.min())} others", "any image may meet any other", mistake)


@exercise
def synergic_size(synergic_size: Attempt) -> None:
    """Write ``synergic_size(components, features, width, classes, backbone)``: verifiers and parameters of a network.

    The answer is a tuple of two ints, ``(verifiers, parameters)``. There is one verifier for every pair of components.
    A component has `backbone` parameters of its own and a linear layer from `features` to `classes`. A verifier sees
    the features of two components side by side: a linear layer from there to `width`, and one from `width` to 1. All
    linear layers have biases. ``synergic_size(3, 4, 5, 2, 100)`` is ``(3, 483)``: 3 components of 110, 3 verifiers of
    51.
    """
    generator = torch.Generator().manual_seed(0)
    cases = [(4, 6, 3, 5, 70), (3, 4, 5, 2, 100), (2, 1024, 1024, 3, 23_508_032), (1, 8, 8, 2, 50)]
    cases += [tuple(torch.randint(2, 40, (5,), generator=generator).tolist()) for _ in range(10)]
    for case in cases:
        n, features, width, classes, backbone = case
        verifiers, verifier = n * (n - 1) // 2, (2 * features + 1) * width + width + 1
        total = n * (backbone + (features + 1) * classes) + verifiers * verifier
        got = synergic_size(*case)
        if not isinstance(got, tuple | list) or len(got) != 2:
            synergic_size.wrong(got, f"a tuple, {(verifiers, total)}", "one_number")
        call = synergic_size.case
        mistakes = {
            "order": total,
            "pairs_twice": n * (n - 1),
            "squared": n**2,
            "with_itself": n * (n + 1) // 2,
            "verifier_per_component": n,
            "one_verifier": 1,
        }
        synergic_size.case = f"the verifiers of {call}"
        synergic_size.compare(got[0], verifiers, mistakes)
        mistakes = {
            "shared_backbone": total - (n - 1) * backbone,
            "one_component_seen": total - verifiers * features * width,
            "no_biases": total - n * classes - verifiers * (width + 1),
            "no_classifier_biases": total - n * classes,
            "no_verifier_biases": total - verifiers * (width + 1),
            "no_hidden_bias": total - verifiers * width,
            "no_last_bias": total - verifiers,
        }
        synergic_size.case = f"the parameters of {call}"
        synergic_size.compare(got[1], total, mistakes)
