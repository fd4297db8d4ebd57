"""A set of which only what is asked for is read: it is split and drawn from before any picture is decoded."""

from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np

from medlab.data.archives import BUDGET, ImageStore
from medlab.data.images import ImageSet, Info

FIRST = 256  # images that are read before their size in memory is known
Read = Callable[[np.ndarray], tuple]  # images, label maps or None, and where they are known, the grids


class Listing(ImageSet):
    """An `ImageSet` whose images are not read yet; each holds its position in the files in place of pixels.

    Args:
        info, patients, published_split: as of `ImageSet`.
        read: reads the images at ascending positions ``(N,)``, their label maps (None where `classes` is given), and
            their grids where these are known.
        classes: ``(N,)``, numbers or names; None for a set of label maps.
    """

    def __init__(
        self,
        info: Info,
        patients: Sequence | np.ndarray,
        read: Read,
        classes: Sequence | np.ndarray | None = None,
        published_split: Sequence[str] | np.ndarray | None = None,
    ) -> None:
        positions = np.arange(len(patients), dtype="<u4").view(np.uint8).reshape(-1, 4, 1, 1)
        targets = np.zeros((len(patients), 1, 1), np.uint8) if classes is None else classes
        super().__init__(positions, targets, patients, info, published_split)
        self._read = read

    def read(self) -> ImageSet:
        """Read what is listed: images float32 in [0, 1], even where the files hold 8 bits.

        More than 2 GiB are kept on disk, in the cache folder, as 256 gray levels.

        Raises:
            ValueError, FileNotFoundError: a file that is damaged, of another form than the set's, or missing.
        """
        rows = self.images.numpy().reshape(-1, 4).copy().view("<u4")[:, 0].astype(np.int64)
        store, parts, count = ImageStore(), [], FIRST
        while len(rows):
            images, *rest = self._read(rows[:count])
            images, rows = np.asarray(images), rows[count:]
            images = images.astype(np.float32) / np.float32(255) if images.dtype == np.uint8 else images
            store.add(images)
            parts.append(rest)
            count = max(1, BUDGET // 4 // images[0].nbytes)
        masks, *grids = zip(*parts)
        targets = self.targets if masks[0] is None else np.concatenate([np.asarray(mask) for mask in masks])
        grids = [list(chain(*each)) for each in grids]
        return ImageSet(store.array(), targets, self.patients, self.info, self.published_split, *grids)
