"""Does a generator give its patients away? The membership test of an outsider who sees generated images only."""

import numpy as np

from medlab.metrics.intervals import Interval, bootstrap_ci


def membership_auc(
    generated: object, members: object, others: object, patients: object = None, seed: int = 0
) -> Interval:
    """How well the distance to the nearest generated image tells training images from other images.

    The attack that needs no access to the networks: whoever lies close to a generated image is called a member. An AUC
    of 0.5 is guessing; an interval above 0.5 is a leak. Chen et al.: GAN-Leaks. CCS 2020, arXiv:1909.03935, section 4.2
    (full black-box).

    Args:
        generated: ``(N, C, H, W)`` in [0, 1].
        members: training images of the generator.
        others: images of patients it never saw, from the same source.
        patients: ids of the members, then of the others; None counts every image as a patient of its own.
        seed: of the resampling.

    Raises:
        ValueError: sizes that differ, no image, NaN.
    """
    from sklearn.metrics import roc_auc_score

    from medlab.metrics.generation import nearest

    distance = np.concatenate([nearest(images, generated).distance for images in (members, others)])
    member = np.repeat([1, 0], [len(members), len(others)])

    def auc(distance: np.ndarray, member: np.ndarray) -> float:
        return float("nan") if len(set(member.tolist())) < 2 else float(roc_auc_score(member, -distance))

    return bootstrap_ci(auc, distance, member, groups=patients, seed=seed)
