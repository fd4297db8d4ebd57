"""Modes of the ring of eight Gaussians after long trainings, recorded in data/results/07-ring.json.

Lesson 07 trains for seconds, which a WGAN does not converge in. Here every discriminator takes 20 000 steps, with the
lesson's tenfold learning rates. Five seeds; a mode counts as covered with 1 % of 2000 points within three standard
deviations. That counts a generator which is not precise yet like one that has dropped the mode; so the modes which are
merely approached, by 1 % of the points nearer to them than half way to the next, are counted too. The gradient penalty
has the weight of the paper, 10, and that of its authors' code for points in the plane, 0.1.

    python tests/benchmarks/ring_long.py            # prints
    python tests/benchmarks/ring_long.py --record   # and writes the result
"""

import math

from kept import Clock

from medlab.data import load
from medlab.metrics import mean_interval, modes_covered, paired_difference, verdict
from medlab.models import RingDiscriminator, RingGenerator
from medlab.phantoms.ring import CENTERS, MODES, RADIUS, SIGMA
from medlab.train import fit_gan, sample, seed_everything
from medlab.train.gan_losses import GradientPenalty, NonSaturating, Wasserstein

STEPS, SEEDS, WIDTH, BATCH = 20_000, range(5), 64, 128  # steps of the discriminator; sizes of lesson 07
GAMES = {
    "DCGAN": NonSaturating(lr=2e-3),
    "WGAN": Wasserstein(lr=5e-4),
    "WGAN-GP": GradientPenalty(lr=1e-3),
    "WGAN-GP, penalty 0.1": GradientPenalty(weight=0.1, lr=1e-3),
}
HALF_WAY = RADIUS * math.sin(math.pi / MODES)


def train_once(name: str, seed: int) -> dict[str, float]:
    """Modes covered, modes approached and share of good points at the end of one training."""
    game = GAMES[name]
    seed_everything(seed)
    generator = RingGenerator(width=WIDTH)
    fit_gan(
        generator, RingDiscriminator(width=WIDTH), load("ring", n=2000, seed=seed), epochs=1,
        steps_per_epoch=STEPS // game.critic_steps, loss=game, batch_size=BATCH, seed=seed, precision="float32",
        progress=False,
    )  # fmt: skip
    points = sample(generator, 2000)
    found, near = (modes_covered(points, CENTERS, radius) for radius in (3 * SIGMA, HALF_WAY))
    return {"modes": found.covered, "approached": near.covered, "good points": found.high_quality}


def main() -> None:
    """Train, print, and record if asked."""
    clock, runs = Clock(__doc__), {name: [] for name in GAMES}
    for seed in SEEDS:
        for name in GAMES:
            runs[name].append(train_once(name, seed))
            print(f"seed {seed} {name:20}", runs[name][-1], flush=True)
    measures = {"modes": "modes of 8", "approached": "modes of 8 approached", "good points": "good points"}
    kept = {key: {name: [one[key] for one in each] for name, each in runs.items()} for key in measures}
    gaps = {
        f"{name} {verb} more modes than DCGAN": paired_difference(kept[key][name], kept[key]["DCGAN"])
        for key, verb in {"modes": "keeps", "approached": "approaches"}.items()
        for name in GAMES
        if name != "DCGAN"
    }
    for claim, gap in gaps.items():
        print(f"{claim}: difference {gap:.2f}: {verdict(gap)}")
    values = {
        "scores": {
            f"{what}, {name}": mean_interval(each).to_dict()
            for key, what in measures.items()
            for name, each in kept[key].items()
        },
        "differences": {claim: gap.to_dict() for claim, gap in gaps.items()},
        "verdicts": {claim: verdict(gap) for claim, gap in gaps.items()},
        "per_seed": runs,
    }  # fmt: skip
    parameters = {"discriminator steps": STEPS, "seeds": len(SEEDS), "width": WIDTH, "batch_size": BATCH}
    clock.keep("07-ring", __file__, parameters, values)


if __name__ == "__main__":
    main()
