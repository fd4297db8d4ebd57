"""The table of the real sets beside MedMNIST: where each lies, and how it is read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from medlab.data import real_images, real_scans
from medlab.data.files import cache_folder, find_path
from medlab.data.images import ImageSet, Info
from medlab.data.mirror import fetch_folder, from_mirror, hashes, mirror_url
from medlab.data.publishers import PUBLISHERS
from medlab.data.xrays import JSRT, MONTGOMERY, load_jsrt, load_montgomery

PUBLISHED = "the publisher's splits"


def locate(name: str, place: str, contents: str = "", stand_in: str = "brain", cached: str | None = None) -> Path:
    """Where a set lies, fetched from the mirror where there is one, or where it will be downloaded to.

    The arguments are as of `RealSet`.

    Raises:
        FileNotFoundError: it is not there and must be put there by hand.
        ValueError, ConnectionError, OSError: see `fetch_folder`.
    """
    if path := find_set(place, cached):
        return path
    folder = place.partition("/")[0]
    if hashes(folder) and mirror_url():
        try:
            fetch_folder(folder, stand_in)
            return cache_folder() / place
        except ConnectionError:  # a mirror need not hold what can be downloaded elsewhere
            if cached is None:
                raise
    if cached is None:
        raise FileNotFoundError(
            f"{name} is not downloaded by medlab: set MEDLAB_DATA to a folder that holds {place}{contents}"
            f'{_other_ways(folder)}; until then a phantom can stand in, e.g. load("{stand_in}")'
        )
    return cache_folder() / cached


def find_set(place: str, cached: str | None = None) -> Path | None:
    """Where a set lies, or None; the arguments are as of `RealSet`."""
    if path := find_path(place, *([] if cached is None else [cached])):
        return path
    if from_mirror(place.partition("/")[0]):
        return cache_folder() / place
    return find_path(in_cache=cached)


def _other_ways(folder: str) -> str:
    if not hashes(folder):
        return ""
    makers = Path(__file__).resolve().parents[2] / "data" / "makers"
    maker = f"{folder}.py" if (makers / f"{folder}.py").is_file() else "README.md"
    return (
        f" (data/makers/{maker} says how to make it from the publisher's files), or MEDLAB_MIRROR to the address of a "
        "web server that has such folders"
    )


@dataclass(frozen=True)
class RealSet:
    """A real set beside MedMNIST.

    Args:
        info: what is known about it.
        size: usual edge length in pixels.
        sizes: all edge lengths; None for any multiple of 8 from 16.
        images: how many.
        read: reads the set in a given size from its path; a `Listing` is read when it is known what of it is wanted.
        place: its path under `MEDLAB_DATA`.
        contents: what must be found there.
        stand_in: a phantom to use where it is not.
        cached: its path in the cache folder, where `read` downloads it; None for a set that is not downloaded.
        unit: what is kept whole when the set is split, where that is not a patient.
    """

    info: Info
    size: int
    sizes: Sequence[int] | None
    images: int | str
    read: Callable[[Path, int], ImageSet]
    place: str
    contents: str = ""
    stand_in: str = "lung"
    cached: str | None = None
    unit: str = "patient"

    def find(self) -> Path | None:
        """Where the set lies, in our folders or as its publisher lays it out, or None."""
        publisher = PUBLISHERS.get(self.info.name)
        return find_set(self.place, self.cached) or (publisher.find() if publisher else None)

    def locate(self) -> Path:
        """Where the set lies, see the function `locate`."""
        return locate(self.info.name, self.place, self.contents, self.stand_in, self.cached)

    def load(self, size: int) -> ImageSet:
        """Read the set: our folder, else the publisher's files, else what can be downloaded.

        Raises:
            FileNotFoundError: it is not there and must be put there by hand.
        """
        publisher = PUBLISHERS.get(self.info.name)
        ours = None if publisher is None else find_set(publisher.folder)
        if publisher is None or (ours is not None and any(ours.glob(publisher.ours))):
            return self.read(self.locate(), size)
        if folder := publisher.find():
            return publisher.list(folder, size)
        try:
            return self.read(self.locate(), size)
        except (FileNotFoundError, ConnectionError):
            if publisher.fetch is None:
                raise
        return publisher.list(publisher.fetch(), size)


HIPPOCAMPUS = {"place": "hippocampus_msd", "cached": "Task04_Hippocampus", "unit": "case"}
LESIONS = {"images": 1899, "place": "isic2017", "stand_in": "skin", "unit": "image"}
TO_256 = range(16, 257, 8)
_SETS = (
    RealSet(real_scans.HIPPOCAMPUS, 64, None, "by case", real_scans.read_hippocampus, **HIPPOCAMPUS),
    RealSet(real_scans.HIPPOCAMPUS_VOLUMES, 48, (48,), "by case", real_scans.read_hippocampus_volumes, **HIPPOCAMPUS),
    RealSet(
        real_images.NUCLEI,
        256,
        (256,),
        60,
        real_images.read_nuclei,
        "nuclei_dsb2018",
        "/images and nuclei_dsb2018/masks",
        unit="image",
    ),
    RealSet(JSRT, 400, None, 247, load_jsrt, "jsrt", "/ with the .IMG files and SCR's masks", "chest"),
    RealSet(MONTGOMERY, 400, None, 138, load_montgomery, "montgomery", "/ with CXR_png and ManualMask", "chest"),
    RealSet(real_images.BCCD, 28, (28,), 1635, real_images.read_bccd, "bccd_crops/bccd_crops_28.npz", unit=PUBLISHED),
    RealSet(real_images.ISIC2017, 64, TO_256, read=real_images.list_isic2017, **LESIONS),
    RealSet(
        real_images.ISIC2017_MASKS,
        128,
        TO_256,
        read=partial(real_images.list_isic2017, info=real_images.ISIC2017_MASKS),
        **LESIONS,
    ),
    RealSet(
        real_images.MEDNIST,
        64,
        (28, 64),
        "3600 at 64, 12000 at 28",
        real_images.list_mednist,
        "mednist",
        "/mednist_64.npz",
        unit="blocks of files, fixed",
    ),
    RealSet(
        real_images.PANCREAS_CT,
        128,
        TO_256,
        208,
        real_images.list_pancreas_ct,
        "pancreas_ct_slices",
        stand_in="abdomen",
    ),
    RealSet(
        real_images.LIVER_CT,
        128,
        TO_256,
        509,
        real_images.list_liver_ct,
        "liver_ct_msd",
        stand_in="abdomen",
        unit="volume",
    ),
    RealSet(
        real_images.LUNG_CT_PATCHES,
        48,
        range(16, 49, 8),
        260,
        real_images.list_lung_ct_patches,
        "lung_ct_patches_msd/lung_patches_48.npz",
        unit="case",
    ),
    RealSet(real_scans.LUNG_CT, 128, range(16, 513, 8), 236, real_scans.list_lung_ct, "lung_ct_tcia"),
    RealSet(
        real_images.NIH_CHESTXRAY,
        96,
        range(16, 97, 4),
        808,
        real_images.list_nih_chestxray,
        "nih_chestxray/nih_cxr_96.npz",
        stand_in="chest",
    ),
    RealSet(real_scans.STS_PET, 64, range(16, 129, 8), 2639, real_scans.list_sts_pet, "sts_pet_ct_mr", stand_in="pet"),
    RealSet(
        real_scans.BRAIN_PET_MAPS,
        112,
        range(16, 113, 8),
        273,
        real_scans.list_brain_pet_maps,
        "brain_pet_maps",
        stand_in="pet",
        unit="map",
    ),
    RealSet(real_scans.IXI, 120, range(16, 121, 8), 1388, real_scans.list_ixi, "ixi_t1_2mm", stand_in="brain"),
    RealSet(
        real_images.BRAIN_TUMOR_T1,
        128,
        range(16, 129, 8),
        1007,
        real_images.list_brain_tumor_t1,
        "brain_tumor_figshare/brain_tumor_128.npz",
        stand_in="glioma",
        unit=f"block of {real_images.BLOCK} file numbers",
    ),
    RealSet(
        real_scans.TCGA_LGG, 120, range(16, 241, 8), 197, real_scans.list_tcga_lgg, "tcga_lgg_mr", stand_in="glioma"
    ),
)
REAL = {real.info.name: real for real in _SETS}
