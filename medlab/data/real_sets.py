"""The table of the real sets beside MedMNIST: where each lies, and how it is read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from medlab.data import real_images as pictures
from medlab.data import real_scans as scans
from medlab.data.files import cache_folder, find_path
from medlab.data.images import ImageSet, Info
from medlab.data.mirror import fetch_folder, from_mirror, hashes, mirror_url
from medlab.data.publishers import PUBLISHERS
from medlab.data.xrays import JSRT, MONTGOMERY, load_jsrt, load_montgomery

HIPPOCAMPUS_TASK = "Task04_Hippocampus"


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
        fetch_folder(folder, stand_in)
        return cache_folder() / place
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
        if publisher is None or find_set(publisher.ours):
            return self.read(self.locate(), size)
        folder = publisher.find()
        if folder is None and publisher.fetch is not None and mirror_url() is None:
            folder = publisher.fetch()
        return self.read(self.locate(), size) if folder is None else publisher.list(folder, size)


def _up_to(largest: int) -> range:
    return range(16, largest + 1, 8)


_SETS = (
    RealSet(
        scans.HIPPOCAMPUS,
        64,
        None,
        "by case",
        scans.read_hippocampus,
        "hippocampus_msd",
        cached=HIPPOCAMPUS_TASK,
        unit="case",
    ),
    RealSet(
        scans.HIPPOCAMPUS_VOLUMES,
        48,
        (48,),
        "by case",
        scans.read_hippocampus_volumes,
        "hippocampus_msd",
        cached=HIPPOCAMPUS_TASK,
        unit="case",
    ),
    RealSet(
        pictures.NUCLEI,
        256,
        (256,),
        60,
        pictures.read_nuclei,
        "nuclei_dsb2018",
        "/images and nuclei_dsb2018/masks",
        unit="image",
    ),
    RealSet(JSRT, 400, None, 247, load_jsrt, "jsrt", "/ with the .IMG files and SCR's masks", "chest"),
    RealSet(MONTGOMERY, 400, None, 138, load_montgomery, "montgomery", "/ with CXR_png and ManualMask", "chest"),
    RealSet(pictures.BCCD, 28, (28,), 1635, pictures.read_bccd, "bccd_crops/bccd_crops_28.npz", unit="the publisher's"),
    RealSet(
        pictures.ISIC2017, 64, _up_to(256), 1899, pictures.list_isic2017, "isic2017", stand_in="skin", unit="image"
    ),
    RealSet(
        pictures.ISIC2017_MASKS,
        128,
        _up_to(256),
        1899,
        partial(pictures.list_isic2017, info=pictures.ISIC2017_MASKS),
        "isic2017",
        stand_in="skin",
        unit="image",
    ),
    RealSet(
        pictures.MEDNIST,
        64,
        (28, 64),
        "3600 (64), 12000 (28)",
        pictures.list_mednist,
        "mednist",
        "/mednist_64.npz",
        unit="blocks of files",
    ),
    RealSet(
        pictures.PANCREAS_CT, 128, _up_to(256), 208, pictures.list_pancreas_ct, "pancreas_ct_slices", stand_in="abdomen"
    ),
    RealSet(
        pictures.LIVER_CT,
        128,
        _up_to(256),
        509,
        pictures.list_liver_ct,
        "liver_ct_msd",
        stand_in="abdomen",
        unit="volume",
    ),
    RealSet(
        pictures.LUNG_CT_PATCHES,
        48,
        _up_to(48),
        260,
        pictures.list_lung_ct_patches,
        "lung_ct_patches_msd/lung_patches_48.npz",
        unit="case",
    ),
    RealSet(scans.LUNG_CT, 128, _up_to(512), 236, scans.list_lung_ct, "lung_ct_tcia"),
    RealSet(
        pictures.NIH_CHESTXRAY,
        96,
        range(16, 97, 4),
        808,
        pictures.list_nih_chestxray,
        "nih_chestxray/nih_cxr_96.npz",
        stand_in="chest",
    ),
    RealSet(scans.STS_PET, 64, _up_to(128), 2644, scans.list_sts_pet, "sts_pet_ct_mr", stand_in="pet"),
    RealSet(
        scans.BRAIN_PET_MAPS,
        112,
        _up_to(112),
        0,
        scans.list_brain_pet_maps,
        "brain_pet_maps",
        stand_in="brain",
        unit="map",
    ),
    RealSet(scans.IXI, 120, _up_to(120), 0, scans.list_ixi, "ixi_t1_2mm", stand_in="brain"),
    RealSet(
        pictures.BRAIN_TUMOR_T1,
        128,
        _up_to(128),
        1007,
        pictures.list_brain_tumor_t1,
        "brain_tumor_figshare/brain_tumor_128.npz",
        stand_in="glioma",
        unit=f"block of {pictures.BLOCK} file numbers",
    ),
    RealSet(scans.TCGA_LGG, 120, _up_to(240), 0, scans.list_tcga_lgg, "tcga_lgg_mr", stand_in="glioma"),
)
REAL = {real.info.name: real for real in _SETS}
