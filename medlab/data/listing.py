"""A set of which only what is asked for is read: it is split and drawn from before any picture is decoded."""

from collections.abc import Callable, Sequence

import numpy as np

from medlab.data.images import ImageSet, Info

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

        Raises:
            ValueError, FileNotFoundError: a file that is damaged, of another form than the set's, or missing.
        """
        rows = self.images.numpy().reshape(-1, 4).copy().view("<u4")[:, 0].astype(np.int64)
        images, masks, *grids = self._read(rows)
        images = np.asarray(images)
        if images.dtype == np.uint8:
            images = images.astype(np.float32) / np.float32(255)
        targets = self.targets if masks is None else masks
        return ImageSet(images, targets, self.patients, self.info, self.published_split, *grids)
